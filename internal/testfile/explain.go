// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/scenario"
)

// Explain writes what the tests of a file will do, step by step.
func (f *File) Explain(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", f.Name)
	for _, q := range f.Quiet {
		fmt.Fprintf(&b, "  no test of it may cause %q to fire\n", q.Rule)
	}
	for _, t := range f.Tests {
		t.explain(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Test) explain(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s", t.Name)
	if c := t.Case(); c != "" {
		fmt.Fprintf(b, "  (%s)", c)
	}
	b.WriteString("\n")
	if t.Description != "" {
		fmt.Fprintf(b, "  %s\n", oneLine(t.Description))
	}
	if t.Draft != "" {
		fmt.Fprintf(b, "  is a draft, which fails until it is completed: %s\n", t.Draft)
	}
	if t.Skip != "" {
		fmt.Fprintf(b, "  is skipped here: %s\n", t.Skip)
	}
	n := 0
	step := func(format string, args ...any) {
		n++
		fmt.Fprintf(b, "  %2d. %s\n", n, fmt.Sprintf(format, args...))
	}
	switch {
	case t.EventsFile != "":
		step("judges the %s in %s", sourceOf(t.Source).events, t.EventsFile)
	case t.Work != nil:
		for _, line := range t.Work.Explain() {
			step("%s", line)
		}
	case t.Scenario == nil:
		step("judges the %s in the file", sourceOf(t.Source).events)
	default:
		explainScenario(t.Scenario, step)
	}
	t.explainOutcome(b)
}

func explainScenario(s *scenario.Scenario, step func(string, ...any)) {
	if c := s.Container; c != nil {
		step("starts a privileged container%s%s", with(" of an image called ", c.Image), with(" named ", c.Name)+with(" with the environment ", words(c.Env)))
	}
	for i, p := range s.Processes {
		what := "starts the process "
		if i > 0 {
			what = "which starts "
		}
		if i == len(s.Processes)-1 && i > 0 {
			what = "which starts the last process "
		}
		step("%s%s", what, explainProcess(&p))
	}
	if s.Before != "" {
		step("runs the script before: %s", oneLine(s.Before))
	}
	for i := range s.Resources {
		r := &s.Resources[i]
		switch {
		case r.ClientServer != nil:
			address := r.ClientServer.Address
			if r.ClientServer.Proto == "unix" {
				address = "a socket of its own"
			}
			step("makes a server and a client, %s at %s, as %s", r.ClientServer.Proto, address, r.Name)
		case r.Process != nil && r.FileLess:
			step("starts a process from memory that waits, %s, as %s", explainProcess(r.Process), r.Name)
		case r.Process != nil:
			step("starts a process that waits, %s, as %s", explainProcess(r.Process), r.Name)
		case r.FD.Unopened:
			step("sees that the %s %s is there, as %s", r.FD.Subtype, r.FD.Path, r.Name)
		default:
			step("opens %s%s, as %s", article(r.FD.Subtype), with(" ", r.FD.Path), r.Name)
		}
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		fails := with(", which must fail with ", st.ExpectError)
		switch {
		case st.Call != nil:
			step("%s: calls %s%s", st.Name, explainCall(st.Call), fails)
		case st.Command != nil:
			step("%s: runs %s", st.Name, explainCommand(st.Command))
		case st.Write != nil:
			what := "writes"
			if st.Write.Append {
				what = "appends"
			}
			step("%s: %s %d bytes to %s, of mode %#o if it is new", st.Name, what, len(st.Write.Content), st.Write.Path, st.Write.Mode)
		case st.Sleep > 0:
			step("%s: waits for %s", st.Name, st.Sleep)
		default:
			step("%s: runs the action %s", st.Name, st.Action)
		}
	}
	if s.After != "" {
		step("runs the script after: %s", oneLine(s.After))
	}
}

func explainProcess(p *scenario.Process) string {
	name := p.Name
	if name == "" {
		name = p.ExePath
	}
	if name == "" {
		name = "of no particular name"
	}
	var more []string
	for _, part := range []string{with("executable ", p.ExePath), with("argv[0] ", p.Exe), with("arguments ", words(p.Args)),
		with("environment ", words(p.Env)), with("user ", p.User), with("capabilities ", p.Capabilities)} {
		if part != "" {
			more = append(more, part)
		}
	}
	if len(more) == 0 {
		return name
	}
	return name + " (" + strings.Join(more, ", ") + ")"
}

func explainCommand(c *scenario.Command) string {
	text := words(append([]string{c.Program}, c.Args...)) + with(" in ", c.Dir) + with(" with the environment ", words(c.Env))
	if c.Stdin != "" {
		text += fmt.Sprintf(" and %d bytes of input", len(c.Stdin))
	}
	if c.Exit != 0 {
		text += fmt.Sprintf(", which must end with %d", c.Exit)
	}
	return text
}

// explainCall writes a call with its arguments in the kernel's order.
func explainCall(c *scenario.Call) string {
	names := slices.Sorted(maps.Keys(c.Args))
	if known := scenario.SyscallByName(c.Name); known != nil {
		place := func(name string) int {
			name, _, _ = strings.Cut(name, ".")
			return slices.IndexFunc(known.Args, func(a scenario.Arg) bool { return a.Name == name })
		}
		slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	}
	var args []string
	for _, name := range names {
		v := c.Args[name]
		text := ""
		switch {
		case v.Binding != "":
			text = "${" + v.Binding + "}"
		case v.Number != nil:
			text = v.Written
		case v.Text != nil:
			text = fmt.Sprintf("%q", *v.Text)
		default:
			text = "[" + words(v.List) + "]"
		}
		args = append(args, name+"="+text)
	}
	return c.Name + "(" + strings.Join(args, ", ") + ")"
}

// words joins words by spaces, those in quotes that hold some.
func words(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		if quoted[i] = s; s == "" || strings.ContainsAny(s, " \t\n\"'") {
			quoted[i] = fmt.Sprintf("%q", s)
		}
	}
	return strings.Join(quoted, " ")
}

func (t *Test) explainOutcome(b *strings.Builder) {
	switch {
	case t.Rule == "":
		b.WriteString("  expects to run to its end\n")
		return
	case t.Expect.Silent:
		fmt.Fprintf(b, "  expects that %q does not fire", t.Rule)
	default:
		fmt.Fprintf(b, "  expects that %q fires", t.Rule)
	}
	if lines := t.Expect.Describe(); len(lines) > 0 {
		fmt.Fprintf(b, " with\n      %s", strings.Join(lines, "\n      "))
	}
	b.WriteString("\n")
}

func with(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func article(s string) string {
	if strings.ContainsAny(s[:1], "aeio") {
		return "an " + s
	}
	return "a " + s
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
