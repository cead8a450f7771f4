// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

func TestPrint(t *testing.T) {
	for in, want := range map[string]string{
		`evt.type=open and(proc.name = a or proc.name=b)`:  `(evt.type = open and (proc.name = a or proc.name = b))`,
		`not not (proc.name = a)`:                          `proc.name = a`,
		`not not not proc.name = a`:                        `not proc.name = a`,
		`a and not b or c`:                                 `((a and not b) or c)`,
		`proc.name = "a b"`:                                `proc.name = "a b"`,
		`proc.name = 'it\'s'`:                              `proc.name = "it's"`,
		`proc.name = "say \"x\"\n"`:                        `proc.name = "say \"x\"\n"`,
		`proc.name in ( a , "b" , 'c d' )`:                 `proc.name in (a, b, "c d")`,
		`proc.aname[2] == x`:                               `proc.aname[2] == x`,
		`proc.env["A B"] exists`:                           `proc.env["A B"] exists`,
		`tolower( basename(proc.exe) ) = val( proc.name )`: `tolower(basename(proc.exe)) = val(proc.name)`,
		`fd.num >= 0 and fd.num <= 0x1F and fd.num > -1`:   `(fd.num >= 0 and fd.num <= 0x1F and fd.num > -1)`,
		`proc.name in ()`:                                  `proc.name in ()`,
		"proc.name\n\t=\r\n a":                             `proc.name = a`,
	} {
		e, err := filter.ParseString(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := e.String(); got != want {
			t.Errorf("%s: printed %s, want %s", in, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	src := testSource()
	for cond, want := range map[string]string{
		"":                                  "the condition is empty",
		"proc.name = a proc.pid = 1":        "1:15: unexpected 'proc.pid', expecting 'and', 'or' or the end",
		"proc.name = a)":                    "1:14: unexpected ')', expecting 'and', 'or' or the end (a ')' too many?)",
		"(proc.name = a":                    "1:15: expected ')' before the end of the condition (the '(' is at 1:1)",
		"proc.name = a\n  and proc.pid = x": "2:18: proc.pid is of type INT64: 'x' is not a valid number",
		"proc.pid contains 1":               "1:1: operator 'contains' is not supported for numeric fields: proc.pid is of type INT64 (it takes exists <= < >= > = != intersects in)",
		"fd.sport = abc":                    "1:12: fd.sport is of type PORT: 'abc' is neither a port nor a known service",
		"proc.nam = a":                      "1:1: unknown field proc.nam, did you mean proc.name?",
		"evt.type in (open, opneat)":        "1:20: unknown event type opneat (did you mean openat?)",
		"some_macro":                        "1:1: the macro some_macro is not defined",
		"proc.name = \"a":                   "1:13: the string has no closing \"",
		`proc.name = "a\q"`:                 `1:15: unsupported escape \q in a string (for a backslash write \\)`,
		"proc.name = val(proc.pid)":         "1:13: proc.name is of type CHARBUF and cannot be compared with val(proc.pid) of type INT64",
		"proc.name is a":                    "1:11: expected an operator after proc.name, not 'is' (one of exists <= < >= > == = != glob iglob contains icontains bcontains startswith bstartswith endswith regex intersects in pmatch)",
		"proc.name in":                      "1:13: expected a list or a transformer before the end of the condition (write the values in parentheses: in (a, b))",
		"tolower(proc.pid) = a":             "1:1: tolower() does not take proc.pid of type INT64",
	} {
		e, err := filter.ParseString(cond)
		if err == nil {
			_, err = filter.NewCompiler(src).Add(e)
		}
		if err == nil {
			t.Errorf("%s: no error", cond)
			continue
		}
		if got := err.Error(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", cond, got, want)
		}
		var fe *filter.Error
		if !errors.As(err, &fe) || fe.Off > len(cond) {
			t.Errorf("%s: error %#v", cond, err)
		}
	}
}

func TestFormat(t *testing.T) {
	src := testSource()
	for in, want := range map[string]string{
		"plain":                        "'plain'",
		"a %proc.name b":               "'a ' {proc.name} ' b'",
		"%proc.name.":                  "{proc.name} '.'",
		"%proc.namex:%fd.num":          "{proc.name} 'x:' {fd.num}",
		"%proc.aname[2]%proc.env[A B]": "{proc.aname[2]} {proc.env[\"A B\"]}",
		"%20proc.name|":                "{proc.name/20} '|'",
		"%toupper(proc.name))":         "{toupper(proc.name)} ')'",
		"%len(tolower(proc.name))":     "{len(tolower(proc.name))}",
		"*%proc.name":                  "{proc.name}",
		"%":                            "error: the output ends with a %",
		"100% of":                      "error: invalid field in the output: '%'",
		"%proc.nam":                    "error: unknown field proc.nam, did you mean proc.name?",
		"%toupper(proc.name":           "error: expected ')' after proc.name in the output",
		"%toupper(proc.pid)":           "error: toupper() does not take proc.pid of type INT64",
		"":                             "error: the output is empty",
	} {
		parts, err := filter.ParseFormat(src, in)
		var got []string
		for _, p := range parts {
			switch {
			case p.Operand == nil:
				got = append(got, "'"+p.Text+"'")
			case p.Width > 0:
				got = append(got, fmt.Sprintf("{%s/%d}", p.Operand, p.Width))
			default:
				got = append(got, "{"+p.Operand.String()+"}")
			}
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if text != want {
			t.Errorf("%q: got %s, want %s", in, text, want)
		}
	}
	parts, err := filter.ParseFormat(src, "%toupper(proc.name)")
	if err != nil {
		t.Fatal(err)
	}
	v, typ, list, ok := parts[0].Eval(filtertest.Event{"proc.name": filtertest.Str("cat")})
	if !ok || v.Text(typ, list) != "CAT" {
		t.Errorf("got %q, %t", v.Text(typ, list), ok)
	}
}

// seeds are conditions that the fuzz tests begin with: all those of which we
// know what Falco says.
func seeds(f *testing.F) {
	data, err := os.ReadFile("testdata/falco-verdicts.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if !strings.HasPrefix(line, "#") {
			_, cond := filtertest.Quoted(f, line)
			f.Add(cond)
		}
	}
}

// FuzzParse checks that what parses can be printed and parsed again to the same,
// compiled, evaluated and explained.
func FuzzParse(f *testing.F) {
	seeds(f)
	src := testSource()
	f.Fuzz(func(t *testing.T, cond string) {
		e, err := filter.ParseString(cond)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		printed := e.String()
		again, err := filter.ParseString(printed)
		// Falco's printing leaves some strings without the quotes they need.
		if err == nil && !strings.ContainsAny(printed, "()\"',\\") && again.String() != printed {
			t.Errorf("%q prints as %q, then as %q", cond, printed, again)
		}
		filter.EventTypes(e)
		c := filter.NewCompiler(src)
		res, err := c.Add(e)
		if err != nil {
			return
		}
		m := c.Program().NewMachine()
		x, err := filter.NewExplainer(src, e)
		if err != nil {
			t.Fatalf("compiles but cannot be explained: %v", err)
		}
		for _, ev := range []filtertest.Event{{}, {
			"evt.type": filtertest.Str("open"), "proc.name": filtertest.Str("cat"), "fd.name": filtertest.Str("/etc/passwd"), "fd.num": filtertest.Num(3),
			"proc.aname": filtertest.Strs("a", "b"), "fd.types": filtertest.Strs("file"), "evt.buffer": filtertest.Str("\x00\xff"),
			"fd.sip": addr("1.2.3.4"), "fd.snet": addr("::1"), "fd.net": addrs("1.2.3.4"),
		}} {
			m.Reset(ev)
			got := m.Eval(res.Cond)
			before := x.Result().Matched
			x.Observe(ev)
			r := x.Result()
			if wanted := r.Wanted > 0; wanted && (r.Matched > before) != got {
				t.Errorf("%q is %t, explained as %s", cond, got, r)
			}
			_ = r.String()
		}
	})
}

// FuzzFormat parses outputs.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{"a %proc.name b", "%proc.aname[2]", "%toupper(proc.name)", "%", "%20proc.name", "*%fd.num%fd.num", "%evt.arg.x[", "%99999999999proc.name"} {
		f.Add(s)
	}
	src := testSource()
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := filter.ParseFormat(src, s)
		if err != nil {
			return
		}
		for _, p := range parts {
			if p.Operand != nil {
				p.Eval(filtertest.Event{"proc.name": filtertest.Str("cat")})
			}
		}
	})
}
