// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"regexp"
)

// refusal is how Pod Security admission begins what it says of a pod, in errors
// and events, and, for a Job whose pods it will refuse, in a warning
// (k8s.io/pod-security-admission).
var refusal = regexp.MustCompile(`(?s)violates? PodSecurity "([^":]+)[^"]*": (.*)`)

// Refused turns what the API server said into a sentence on what Pod Security
// forbids and what to do about it; ok is false if it is about something else.
func Refused(o Options, said string) (sentence string, ok bool) {
	o = o.withDefaults()
	m := refusal.FindStringSubmatch(said)
	if m == nil {
		return "", false
	}
	level, why := m[1], m[2]
	sentence = fmt.Sprintf("the namespace %s enforces Pod Security %q, which forbids the pods of this run: %s. They need %q: use a namespace for them that has the label %s: %s (go tool falcotest manifest prints one)",
		o.Namespace, level, why, o.Level(), podSecurity, o.Level())
	if j, err := judgeOf(o.Falco); err == nil && j.socket != "" {
		sentence += "; or a judge that needs no folder of the node: http://0.0.0.0:2801/SECRET or builtin:"
	}
	if o.Profile == Privileged {
		sentence += "; or the profile baseline, in which actions that need more are skipped"
	}
	return sentence, true
}
