// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/scenario"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// languagePage is where the language of the drafts is told, and its schema.
const (
	languagePage = "https://" + module + "/blob/main/falcotest/TESTFILES.md"
	schemaPage   = "https://raw.githubusercontent.com/falcotest/go-falcotest/main/falcotest/testfiles.schema.json"
)

// draft is a first test of a rule, filled from what its condition asks for.
func draft(r *rules.Rule, testName string) string {
	a := asking{values: map[string][]string{}, told: map[string][]string{}}
	a.collect(r.Expr, false)
	var b strings.Builder
	fmt.Fprintf(&b, "# yaml-language-server: $schema=%s\n#\n", schemaPage)
	fmt.Fprintf(&b, "# A draft, made from the condition of the rule. Complete it, and take the key draft\n# away: until then the test fails. What it does: go tool falcotest explain THIS FILE.\n# The language: %s\n", languagePage)
	if len(a.told) > 0 {
		b.WriteString("#\n# The rule asks for:\n")
	}
	for _, field := range sorted(a.told) {
		values := a.told[field]
		if len(values) > 6 {
			values = append(slices.Clone(values[:6]), "…")
		}
		fmt.Fprintf(&b, "#   %s: %s\n", field, strings.Join(strings.Fields(strings.Join(values, ", ")), " "))
	}
	more := testfile.Draft(r.Source, a.values)
	todo := "do in steps what the rule is to detect, and say in expectedOutcome which alert comes of it"
	if more != "" {
		todo = "put what the rule is to detect into the events, and say in expectedOutcome which alert comes of it"
	}
	fmt.Fprintf(&b, "tests:\n  - name: %s\n    rule: %s\n    draft: %s\n", yamlText(testName), yamlText(r.Name), todo)
	if more != "" {
		return b.String() + more
	}
	b.WriteString(a.context())
	b.WriteString(a.steps())
	b.WriteString("    expectedOutcome: {}\n")
	return b.String()
}

// yamlText writes a text in quotes that YAML reads as JSON does.
func yamlText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSpace(b.String())
}

// asking is what a condition asks for.
type asking struct {
	values map[string][]string // by field, what it may be, begin or end with, or contain
	told   map[string][]string // all of it, for a person
}

// context is the part of a draft on processes and their container.
func (a *asking) context() string {
	var chain []string
	for _, field := range []string{"proc.aname", "proc.pname"} {
		if name := first(a.values[field], ""); name != "" {
			chain = append(chain, "{name: "+yamlText(fileBase(name))+"}")
		}
	}
	var last []string
	add := func(key, value string) {
		if value != "" {
			last = append(last, key+": "+yamlText(value))
		}
	}
	path := first(a.values["proc.exepath"], "")
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, patternSigns) {
		path = ""
	}
	if info, err := os.Stat(path); path != "" && (strings.HasSuffix(path, "/") || err == nil && info.IsDir()) {
		path = strings.TrimSuffix(path, "/") + "/draft"
	}
	add("exePath", path)
	if name := first(a.values["proc.name"], ""); name != "" {
		add("name", fileBase(name))
	}
	if name := a.eventType(); name == "execve" || name == "execveat" {
		add("args", first(a.values["proc.args"], first(a.values["proc.cmdline"], "")))
	}
	add("user", first(a.values["user.name"], ""))
	if len(last) > 0 || len(chain) > 0 {
		chain = append(chain, "{"+strings.Join(last, ", ")+"}")
	}
	inside := slices.ContainsFunc(sorted(a.values), func(f string) bool { return strings.HasPrefix(f, "container.") })
	text := ""
	if len(chain) > 0 || inside {
		text = "    context:\n"
	}
	if inside {
		text += "      container: {}\n"
	}
	if len(chain) > 0 {
		text += fmt.Sprintf("      processes: [%s]\n", strings.Join(chain, ", "))
	}
	return text
}

// fileBase makes the name of a process of what a rule compares it with.
func fileBase(name string) string {
	name = name[strings.LastIndex(name, "/")+1:]
	if name = strings.Trim(name, patternSigns); name == "" {
		return "draft"
	}
	return name
}

// patternSigns are what a pattern has and a path has not.
const patternSigns = `*?[]{}()^$|\`

// eventType is the call that a draft makes.
func (a *asking) eventType() string {
	if slices.Contains(a.values["evt.type"], "connect") {
		return "connect" // of the others of its rules, such as accept, it is the simplest
	}
	for _, name := range a.values["evt.type"] {
		if scenario.SyscallByName(name) != nil {
			return name
		}
	}
	return "openat"
}

// path is a path that the rule is about, of a field.
func (a *asking) path(fields ...string) string {
	for _, field := range fields {
		for _, path := range a.values[field] {
			path = strings.NewReplacer("*", "x", "?", "x").Replace(path)
			if path == "" || strings.ContainsAny(path, patternSigns) {
				continue
			}
			if !strings.HasPrefix(path, "/") {
				path = first(a.values["fd.directory"], "/tmp/falcotest-draft") + "/" + path
			}
			if strings.HasSuffix(path, "/") {
				path += "draft"
			}
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				path += "/draft"
			}
			return path
		}
	}
	return ""
}

// steps are resources and steps that cause an event of the type that the rule asks for.
func (a *asking) steps() string {
	path := a.path("fd.name", "fd.filename", "evt.arg.path", "evt.arg.name", "fs.path.name", "fs.path.nameraw")
	if path == "" {
		path = strings.TrimSuffix(first(a.values["fd.directory"], "/tmp/falcotest-draft"), "/") + "/draft"
	}
	file := fmt.Sprintf("    resources:\n      - {type: fd, name: target, subtype: file, filePath: %s}\n", yamlText(path))
	address := "203.0.113.10:" + first(a.values["fd.sport"], first(a.values["fd.rport"], "80"))
	const network = "    resources:\n      - {type: clientServer, name: net, l4Proto: %s, address: %q}\n"
	proto := "tcp4"
	if slices.Contains(a.values["fd.l4proto"], "udp") {
		proto = "udp4"
	}
	flags := "O_RDONLY"
	if slices.ContainsFunc(sorted(a.values), func(f string) bool { return f == "evt.is_open_write" || f == "evt.is_open_create" }) {
		flags = "O_WRONLY|O_CREAT"
	}
	name := a.eventType()
	call := scenario.SyscallByName(name)
	switch {
	case name == "execve", name == "execveat":
		return "" // of the last process, whose start is judged
	case name == "connect", name == "accept", name == "accept4", name == "listen":
		return fmt.Sprintf(network, proto, address) // the client connects, and the server accepts
	case strings.HasPrefix(name, "open") && name != "open_by_handle_at" && name != "open_tree":
		return file + fmt.Sprintf("    steps:\n      - {type: syscall, name: open, syscall: openat, args: {pathname: %s, flags: %s}}\n", yamlText(path), flags)
	}
	sends := slices.Contains([]string{"sendto", "sendmsg", "recvfrom", "recvmsg", "shutdown", "setsockopt"}, name)
	needsFile := false
	var args []string
	for i := range call.Args {
		arg := &call.Args[i]
		if !arg.Settable() {
			continue
		}
		asked := ""
		var fields []string
		for _, name := range append([]string{arg.Name}, arg.Other...) {
			fields = append(fields, "evt.arg."+name, "evt.arg."+strings.ToLower(name), "evt.rawarg."+name)
		}
		for _, field := range fields {
			asked = first(a.values[field], asked)
		}
		value := ""
		switch arg.Kind {
		case scenario.FD:
			switch {
			case arg.Optional:
			case sends:
				value = `"${net.client.fd}"`
			default:
				needsFile, value = true, `"${target.fd}"`
			}
		case scenario.Path:
			if value = path; strings.HasPrefix(arg.Name, "new") || arg.Name == "linkPath" || call.Name == "mkdir" || call.Name == "mkdirat" || strings.HasPrefix(call.Name, "mknod") {
				value = path + ".new" // of which the call makes one
			} else {
				needsFile = true
			}
			if asked := a.path(fields...); asked != "" {
				value = asked
			}
			value = yamlText(value)
		case scenario.Address:
			value = yamlText(address)
		case scenario.Number, scenario.Length:
			switch value = "0"; arg.Set {
			case "domain":
				value = "AF_INET"
			case "type":
				value = "SOCK_DGRAM"
			}
			if asked != "" {
				if _, err := arg.ParseNumber(asked); err == nil && arg.Set != "pid" {
					value = asked
				}
			}
			if arg.Set == "pid" {
				value = `"${process.pid}"`
			}
		case scenario.Groups:
			value = "[0]"
		case scenario.Limit:
			value = "{cur: 0, max: 0}"
		case scenario.Text, scenario.Buffer, scenario.Vector, scenario.Message:
			value = yamlText(first([]string{asked}, "text"))
		}
		if value != "" && (!arg.Optional || asked != "" || call.Name == "ptrace" && arg.Set == "pid") {
			args = append(args, arg.Name+": "+value)
		}
	}
	resources := ""
	switch {
	case needsFile:
		resources = file
	case sends:
		resources = fmt.Sprintf(network, "udp4", address)
	}
	fails := ""
	if strings.HasPrefix(name, "recv") { // for nobody sends anything
		args, fails = append(args, "flags: MSG_DONTWAIT"), ", expectError: EAGAIN"
	}
	text := strings.Join(args, ", ")
	if strings.Contains(text, "${process.pid}") {
		if resources == "" {
			resources = "    resources:\n"
		}
		resources += "      - {type: process, name: process}\n"
	}
	return resources + fmt.Sprintf("    steps:\n      - {type: syscall, name: call, syscall: %s, args: {%s}%s}\n", name, text, fails)
}

func first(values []string, otherwise string) string {
	if len(values) == 0 || values[0] == "" {
		return otherwise
	}
	return values[0]
}

func sorted(m map[string][]string) []string { return slices.Sorted(maps.Keys(m)) }

// collect gathers the values that checks ask for, by field, leaving out what is
// excluded.
func (a *asking) collect(e *filter.Expr, not bool) {
	if e == nil {
		return
	}
	if e.Kind == filter.Not {
		not = !not
	}
	if e.Kind == filter.Check && e.Left != nil && e.Right != nil {
		name := e.Left.String()
		for _, v := range e.Right.Values {
			switch unequal := not != (e.Op == filter.OpNe); {
			case name == "container.id" && v == "host":
				if v = "any"; !unequal {
					continue
				}
			case unequal, v == "<NA>":
				continue
			}
			told := v
			switch e.Op {
			case filter.OpLt, filter.OpLe, filter.OpGt, filter.OpGe, filter.OpRegex, filter.OpBContains, filter.OpBStartsWith:
				told = string(e.Op) + " " + v
			default:
				if !slices.Contains(a.values[name], v) {
					a.values[name] = append(a.values[name], v)
				}
			}
			if !slices.Contains(a.told[name], told) {
				a.told[name] = append(a.told[name], told)
			}
		}
	}
	for _, child := range e.Children {
		a.collect(child, not)
	}
}
