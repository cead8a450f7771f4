// SPDX-License-Identifier: Apache-2.0

// Package replaying has a Falco judge what was traced here: each action is recorded, and
// the Falco replays the recordings.
//
// It imports internal/judge/builtin, which traces and records and whose judgement it is
// compared with, and internal/falco, which starts the Falco.
package replaying
