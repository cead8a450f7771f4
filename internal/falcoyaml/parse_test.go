// SPDX-License-Identifier: Apache-2.0

package falcoyaml

import (
	"fmt"
	"strings"
	"testing"
)

// show writes a node in one line: ~ for null, strings in quotes.
func show(b *strings.Builder, n *Node, depth int) {
	if depth > 20 {
		b.WriteString("…")
		return
	}
	switch n.Kind {
	case Null:
		b.WriteByte('~')
	case Scalar:
		fmt.Fprintf(b, "%q", n.Value)
	case Sequence:
		b.WriteByte('[')
		for i, c := range n.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			show(b, c, depth+1)
		}
		b.WriteByte(']')
	case Map:
		b.WriteByte('{')
		for i := 0; i < len(n.Items); i += 2 {
			if i > 0 {
				b.WriteString(", ")
			}
			show(b, n.Items[i], depth+1)
			b.WriteString(": ")
			show(b, n.Items[i+1], depth+1)
		}
		b.WriteByte('}')
	}
}

func shown(f *File) string {
	var b strings.Builder
	for i, d := range f.Documents {
		if i > 0 {
			b.WriteString(" --- ")
		}
		show(&b, d, 0)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"# only a comment\n", ""},
		{"a", `"a"`},
		{"- a\n- b: c\n  d: e\n-\n- ~\n", `["a", {"b": "c", "d": "e"}, ~, ~]`},
		{"a: [1, 2, {b: c, d: }, e: f]\n", `{"a": ["1", "2", {"b": "c", "d": ~}, {"e": "f"}]}`},
		{"a:\n- b\n- c\nd: e", `{"a": ["b", "c"], "d": "e"}`},
		{"- 'it''s'\n- \"a\\tb\\x41\\u00e4\\\n   c\"\n", `["it's", "a\tbAäc"]`},
		{"- |\n  a\n   b\n\n  c\n- >\n  a\n  b\n\n  c\n   d\n  e\n", `["a\n b\n\nc\n", "a b\nc\n d\ne\n"]`},
		{"- |-\n  a\n\n- |+\n  a\n\n- |2\n    a\n", `["a", "a\n\n", "  a\n"]`},
		{"- a b\n  c\n\n  d # no\n  # e\n", `["a b c\nd"]`},
		{"- &x [a]\n- *x\n- &y/z.1 b\n- *y/z.1\n", `[["a"], ["a"], "b", "b"]`},
		{"- !!str ~\n- !t {a: b}\n- ! \n- !<tag:x> c\n", `["~", {"a": "b"}, "", "c"]`},
		{"%YAML 1.2\n---\n- a\n", `["a"]`},
		{"---\n# nothing\n---\n- a\n", ""},
		{"- a\n---\n- b\n...\n---\n- c\n", `["a"] --- ["b"] --- ["c"]`},
		{"- a\nb: c\n", `["a"] --- {"b": "c"}`},
		{"[a,\t b,\t]\n", `["a", "b"]`},
		{"[a, , b]", `["a", ~, "b"]`},
		{"{a, b: c, ? d : e}", `{"a": ~, "b": "c", "d": "e"}`},
		{"? a\n: b\n? c\n", `{"a": "b", "c": ~}`},
		{": a\n", `{~: "a"}`},
		{"a: b\r\nc: d\r\n", `{"a": "b", "c": "d"}`},
		{"a: b\rc: d\r", `{"a": "b", "c": "d"}`},
		{"a: \xe9\x1b\x7f\u2028\u0085\u00a0x\n", `{"a": "\xe9\x1b\x7f` + `\u2028\u0085\u00a0x"}`},
		{"\xef\xbb\xbfa: b\n", `{"a": "b"}`},
		{"a\x00:\x00 \x00b\x00", `{"a": "b"}`},
		{"a: b: c\n", "error line 1, column 5: a second ':' on the line"},
		{"a: *b\n", "error line 1, column 4: no anchor has the name b"},
		{"a: @b\n", "error line 1, column 4: a value cannot begin with \"@\""},
		{"a: 'b", "error line 1, column 6: the file ends in a string"},
		{"a: 'b\n", `{"a": "b "}`}, // yaml-cpp sees the missing quote only within a line
		{"a: \"\\d\"\n", `error line 1, column 7: unknown escape "\\d"`},
		{"a: [b\n", "error line 2, column 1: the list in [ ] has no end"},
		{"a: b]\n", `{"a": "b]"}`},
		{"a:\n\tb: c\n", "error line 2, column 3: a second ':' on the line"},
		{"a: b\n c\nd\n", `{"a": "b c", "d": ~}`}, // at a file's end a key needs no ':'
		{"a: b\nd\n# e\n", "error line 2, column 1: this is no key of the mapping before it"},
		{"%YAML 2.0\n---\na", "error line 1, column 1: the version of YAML is too new: 2.0"},
		{strings.Repeat("[", 600), "error line 1, column 1: collections nest deeper than 500"},
	} {
		f, err := Parse([]byte(tt.in))
		got := ""
		if err != nil {
			got = "error " + err.Error()
		} else {
			got = shown(f)
		}
		if got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

// TestPositions checks that every byte of a value knows where it stands.
func TestPositions(t *testing.T) {
	for _, in := range []string{
		"- x\n- a b MARK\n", "- a\n  b\n  MARK", "- |\n  a\n  MARK\n", "- >-\n  a\n\n  b\n   MARK\n",
		"- 'a''b MARK'", "- \"a\\n\\u00e4 \\\n  MARK\"", "- äöü MARK", "- &a MARK", "- !!str 'MARK'", "\xef\xbb\xbf- MARK", "- a\r\n  MARK\r\n",
	} {
		f, err := Parse([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		items := f.Documents[0].Items
		n, found, joined := items[len(items)-1], false, ""
		n.Runs(func(piece string, off int) {
			joined += piece
			if i := strings.Index(piece, "MARK"); i >= 0 {
				found = true
				line, column := f.Position(off + i)
				before, _, _ := strings.Cut(string(f.Text), "MARK")
				if wantLine, wantColumn := strings.Count(before, "\n")+1, len(before)-strings.LastIndex(before, "\n"); line != wantLine || column != wantColumn {
					t.Errorf("%q: got %d:%d, want %d:%d", in, line, column, wantLine, wantColumn)
				}
			}
		})
		if !found || joined != n.Value {
			t.Errorf("%q: got %q in pieces %q", in, n.Value, joined)
		}
	}
}

// TestIgnored checks what of a file is never looked at.
func TestIgnored(t *testing.T) {
	for in, want := range map[string]int{
		"- a\n": 0, "- a\n---\n": 0, "---\n# c\n---\n- a\n": 8, "": 0, "--- ~\n--- a\n": 6, "---\n---\n- a\n- *b\n": 4,
	} {
		f, err := Parse([]byte(in))
		if err != nil || f.Ignored != want {
			t.Errorf("%q: got %d and %v, want %d", in, f.Ignored, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"- a: b\n  c: [d, e]\n", "a: |\n  b\n c", "? a\n: {b}", "&a *a", "%TAG ! !\n--- !x 'y'\n...", "\"\\u00e4\\\n\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		file, err := Parse(data)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Msg == "" || e.Line < 1 || e.Column < 1 {
				t.Fatalf("got %T: %v", err, err)
			}
			return
		}
		for _, d := range file.Documents {
			if d.Kind == Null {
				t.Fatal("an empty document")
			}
		}
		shown(file)
	})
}

func BenchmarkParse(b *testing.B) {
	data := []byte("- list: l\n  items:\n" + strings.Repeat("    - 10.11.12.13\n", 100_000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
