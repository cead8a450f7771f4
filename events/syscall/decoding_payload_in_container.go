// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"encoding/base64"
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DecodingPayloadInContainer, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// DecodingPayloadInContainer decodes what was smuggled into a container as
// text.
//
// Rule: spawned_process with base64 and --decode on its command line
// (base64_decoding) in a container: a copy of this executable runs as base64 and
// decodes a file of its own. Needs: a container. What it decodes is not executed.
//
// ATT&CK: T1132, data encoding.
func DecodingPayloadInContainer(h events.Helper) error {
	if program(h) == "base64" {
		text, err := os.ReadFile(os.Args[len(os.Args)-1])
		if err != nil {
			return err
		}
		_, err = base64.StdEncoding.DecodeString(string(text))
		return err
	}
	file, err := tempFile(h, "payload.b64", base64.StdEncoding.EncodeToString([]byte("a payload")))
	if err != nil {
		return err
	}
	return h.SpawnAs("base64", "syscall.DecodingPayloadInContainer", "--decode", file)
}
