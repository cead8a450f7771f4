// SPDX-License-Identifier: Apache-2.0

package correlate

import "strings"

// Potential is the surest correlation that alerts with these output fields can
// reach. The fields are names as in a rule's output, with or without the
// leading %, or whole outputs.
func Potential(outputs ...string) Strength {
	best := None
	for _, o := range outputs {
		for _, name := range fieldNames(o) {
			best = max(best, potential(name))
		}
	}
	return max(best, Time)
}

// CanDistinguish tells whether alerts with these output fields can be told
// apart other than by time: if not, the action has to run alone.
func CanDistinguish(outputs ...string) bool { return Potential(outputs...) > Time }

func potential(name string) Strength {
	name = strings.TrimPrefix(name, "*")
	switch {
	case name == "proc.env["+EnvID+"]", name == "proc.aenv["+EnvID+"]", name == "proc.env", name == "proc.aenv":
		return Environment
	case pidField(name):
		return Process
	case name == "proc.cmdline", name == "proc.pcmdline", name == "proc.args", name == "proc.exeline",
		name == "proc.exepath", name == "proc.pexepath", name == "proc.exe", name == "proc.pexe",
		name == "fd.name", name == "fd.nameraw", name == "fd.filename", name == "evt.args",
		strings.HasPrefix(name, "proc.aexepath"), strings.HasPrefix(name, "proc.acmdline"),
		strings.HasPrefix(name, "proc.aexe["), strings.HasPrefix(name, "fs.path."),
		strings.HasPrefix(name, "evt.arg"), strings.HasPrefix(name, "evt.rawarg"),
		strings.HasPrefix(name, "ka.target."), strings.HasPrefix(name, "ka.req."),
		strings.HasPrefix(name, "ka.resp."), strings.HasPrefix(name, "ka.uri"),
		strings.HasPrefix(name, "ka.useragent"), name == "ka.user.name",
		strings.HasPrefix(name, "jevt.value"):
		return Text
	}
	return None
}

// fieldNames returns the fields in an output, or the one name that it is.
func fieldNames(output string) []string {
	if !strings.Contains(output, "%") {
		return []string{strings.TrimSpace(output)}
	}
	var names []string
	for _, part := range strings.Split(output, "%")[1:] {
		end := 0
		depth := 0
		for end < len(part) {
			c := part[end]
			if c == '[' {
				depth++
			} else if c == ']' {
				if depth--; depth == 0 {
					end++
					break
				}
			} else if depth <= 0 && !alphanumeric(c) && c != '.' && c != '_' && c != '*' {
				break
			}
			end++
		}
		names = append(names, strings.TrimRight(part[:end], "."))
	}
	return names
}
