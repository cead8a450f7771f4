// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/cover"
)

// validate validates a document against a schema.
func validate(t *testing.T, schema, document string) {
	t.Helper()
	read := func(file string) any {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		v, err := jsonschema.UnmarshalJSON(f)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return v
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", read(schema)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(read(document)); err != nil {
		t.Errorf("%s: %v", document, err)
	}
}

func TestOwnSchema(t *testing.T) {
	validate(t, filepath.Join("..", "..", "falcotest", "report.schema.json"), "testdata/report.json")
	validate(t, filepath.Join("..", "..", "falcotest", "report.schema.json"), "testdata/nodes.json")
}

func TestNavigatorSchema(t *testing.T) {
	validate(t, "testdata/navigator.schema.json", "testdata/report.navigator.json")
}

func TestCodeQualitySchema(t *testing.T) {
	validate(t, "testdata/codequality.schema.json", "testdata/report.codequality.json")
}

func TestSARIFSchema(t *testing.T) {
	validate(t, "testdata/sarif.schema.json", "testdata/report.sarif")
}

func TestCoverProfileParses(t *testing.T) {
	profiles, err := cover.ParseProfiles("testdata/report.cov")
	if err != nil {
		t.Fatal(err)
	}
	if len(profiles) != 1 || profiles[0].FileName != "rules/a.yaml" || len(profiles[0].Blocks) != 3 {
		t.Errorf("%+v", profiles)
	}
}

// junitElements are the elements and attributes that readers of JUnit's XML know,
// after the schema of Jenkins' plugin (junit-10.xsd) and GitLab's file attribute.
var junitElements = map[string]struct{ attributes, children string }{
	"testsuites": {"name tests failures errors skipped time disabled", "testsuite"},
	"testsuite":  {"name tests failures errors skipped time timestamp hostname id package", "properties testcase system-out system-err"},
	"properties": {"", "property"},
	"property":   {"name value", ""},
	"testcase":   {"name classname time file line assertions status", "failure error skipped system-out system-err"},
	"failure":    {"message type", ""},
	"error":      {"message type", ""},
	"skipped":    {"message", ""},
}

func TestJUnitSchema(t *testing.T) {
	b, err := os.ReadFile("testdata/report.xml")
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	var open []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			e, ok := junitElements[name]
			if !ok || len(open) > 0 && !slices.Contains(strings.Fields(junitElements[open[len(open)-1]].children), name) {
				t.Errorf("<%s> in %v", name, open)
			}
			for _, a := range token.Attr {
				if !slices.Contains(strings.Fields(e.attributes), a.Name.Local) {
					t.Errorf("<%s %s=…>", name, a.Name.Local)
				}
			}
			open = append(open, name)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func TestCheck(t *testing.T) {
	if err := Check([]string{"a.json", "b.md", "c.html", "d.xml", "e.sarif", "f.cov", "g.navigator.json", "h.codequality.json"}); err != nil {
		t.Error(err)
	}
	if err := Check([]string{"a.json", "b.pdf"}); err == nil || !strings.Contains(err.Error(), `"b.pdf" does not end in any of`) {
		t.Errorf("an unknown end: %v", err)
	}
}

// Packages add their parts in whatever order; what another run left goes.
func TestParts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report.parts")
	var last *Document
	for _, run := range []string{"1", "2"} {
		for _, pkg := range []string{"b", "a", "a"} {
			r := sample()
			r.Package, r.Judge = pkg, run
			d, err := Parts{Dir: dir, Run: run}.Add(r)
			if err != nil {
				t.Fatal(err)
			}
			last = d
		}
	}
	var got []string
	for _, r := range last.Runs {
		got = append(got, r.Package+" "+r.Judge)
	}
	if fmt.Sprint(got) != "[a 2 b 2]" {
		t.Errorf("runs %v", got)
	}
	out := filepath.Join(t.TempDir(), "new", "report.md")
	if err := last.Write(out, filepath.Join(filepath.Dir(out), "report.json")); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".falcotest*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	merged, err := Merge(filepath.Join(filepath.Dir(out), "report.json"), dir)
	if err != nil || len(merged.Runs) != 2 {
		t.Errorf("merged: %v", err)
	}
}

func BenchmarkReports(b *testing.B) {
	r := sample()
	for i := range 10_000 {
		rule := r.Verdicts[0]
		rule.Name = fmt.Sprint("Rule ", i)
		r.Verdicts = append(r.Verdicts, rule)
		row := r.Rows[0]
		row.Rule, row.Action = rule.Name, fmt.Sprint("syscall.Rule", i)
		r.Rows = append(r.Rows, row)
	}
	d := NewDocument(r)
	for range b.N {
		for _, f := range formats {
			if err := f.write(d, io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	}
}
