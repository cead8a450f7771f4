// SPDX-License-Identifier: Apache-2.0

package testfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

// What event-generator's language allows means here what it means there.
func TestForms(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []string // rule/name and what it does
	}{
		{"a name for each rule", `
tests:
  - {name: same, rule: A}
  - {name: same, rule: B}
  - {name: same}
`, []string{"A/same", "B/same", "/same"}},
		{"names and rules of cases", `
tests:
  - name: "%{ item.n }"
    rule: "%{ item.r }"
    cases:
      - {strategy: vector, values: {n: one, r: A}}
      - {strategy: matrix, values: {n: [one], r: [A, B]}}
`, []string{"A/one_testCase#0", "A/one_testCase#1", "B/one_testCase#2"}},
		{"keys of what other cases choose", `
tests:
  - name: a
    rule: A
    resources:
      - {type: "%{ item.t }", name: r, subtype: "%{ item.s }", filePath: /f, dirPath: /d, fileName: m, l4Proto: tcp4, address: "192.0.2.1:80", procName: p}
    cases:
      - {strategy: matrix, values: {t: [fd], s: [directory, pipe, memfd]}}
      - {strategy: matrix, values: {t: [clientServer, process], s: [null]}}
`, []string{
			"A/a_testCase#0 directory:/d", "A/a_testCase#1 pipe:", "A/a_testCase#2 memfd:m",
			"A/a_testCase#3 192.0.2.1:80", "A/a_testCase#4",
		}},
		{"placeholders for whole parts", `
tests:
  - name: a
    rule: A
    context: {processes: "%{ item.processes }"}
    resources: ["%{ item.resource }"]
    steps: [{type: syscall, name: s, syscall: connect, args: "%{ item.args }"}]
    cases:
      - strategy: vector
        values:
          processes: [{name: p}]
          resource: {type: fd, name: m, subtype: memfd, fileName: f}
          args: {fd: "${ m.fd }", address: "192.0.2.1:80"}
`, []string{"A/a_testCase#0 p() memfd:f connect=192.0.2.1:80"}},
		{"directives and the document's end", "\ufeff%YAML 1.2\n---\ntests: [{name: a, rule: A}]\n...\n---\n# nothing\n", []string{"A/a"}},
		{"what is merged is won over", `
tests:
  - name: a
    rule: A
    context:
      processes:
        - &base {name: n, exe: e}
        - {<<: *base, exe: x}
        - {exe: y, <<: *base}
        - {<<: [{name: m}, *base]}
`, []string{"A/a n(e) n(x) n(y) m(e)"}},
		{"arguments", `
tests:
  - {name: quotes, rule: A, context: {processes: [{args: "a \"b c\" 'd  \" e' don't"}]}}
  - {name: odd, rule: A, context: {processes: [{args: "--x=\"y z\" '' \"q\"r \"s"}]}}
  - {name: spaces, rule: A, context: {processes: [{args: "  a\tb\nc  "}]}}
`, []string{`A/quotes () "a" "b c" "d  \" e" "don't"`, `A/odd () "--x=\"y" "z\"" "''" "q" "r" "\"s"`, `A/spaces () "a" "b" "c"`}},
		{"addresses", `
tests:
  - name: a
    rule: A
    resources:
      - {type: clientServer, name: c, l4Proto: tcp4, address: "[::ffff:192.0.2.1]:080"}
      - {type: clientServer, name: d, l4Proto: udp4, address: "[192.0.2.1]:+80"}
      - {type: clientServer, name: e, l4Proto: tcp6, address: "[2001:DB8:0::1]:80"}
    steps:
      - {type: syscall, name: s, syscall: connect, args: {fd: 3, address: "[::ffff:192.0.2.1]:80"}}
      - {type: syscall, name: t, syscall: connect, args: {fd: 3, address: "unix://@a"}}
`, []string{"A/a 192.0.2.1:80 192.0.2.1:80 [2001:db8::1]:80 connect=[::ffff:192.0.2.1]:80 connect=unix://@a"}},
		{"paths and names", `
tests:
  - name: a
    rule: A
    resources:
      - {type: fd, name: f, subtype: file, filePath: x/y}
      - {type: fd, name: d, subtype: directory, dirPath: .}
      - {type: fd, name: m, subtype: memfd}
      - {type: fd, name: n, subtype: memfd, fileName: ""}
`, []string{"A/a file:x/y directory:. memfd: memfd:"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := testfile.Parse("f.yaml", []byte(test.file))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range f.Tests {
				got = append(got, one.Rule+"/"+one.Name+does(one))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// does says what a test has that none has by default.
func does(t *testfile.Test) string {
	var b strings.Builder
	for _, p := range t.Scenario.Processes {
		if p.Name+p.Exe != "" || len(p.Args) > 0 {
			fmt.Fprintf(&b, " %s(%s)", p.Name, p.Exe)
		}
		for _, a := range p.Args {
			fmt.Fprintf(&b, " %q", a)
		}
	}
	for _, r := range t.Scenario.Resources {
		if r.ClientServer != nil {
			fmt.Fprintf(&b, " %s", r.ClientServer.Address)
		}
		if r.FD != nil {
			fmt.Fprintf(&b, " %s:%s", r.FD.Subtype, r.FD.Path)
		}
	}
	for _, s := range t.Scenario.Steps {
		fmt.Fprintf(&b, " %s=%s", s.Call.Name, *s.Call.Args["address"].Text)
	}
	return b.String()
}
