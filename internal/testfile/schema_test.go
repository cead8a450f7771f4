// SPDX-License-Identifier: Apache-2.0

package testfile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(testfile.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("falcotest.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("falcotest.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The schema takes every example of the language that there is.
func TestSchemaTakesTheExamples(t *testing.T) {
	s := compiled(t)
	var files []string
	for _, glob := range []string{"testdata/*.yaml", "../../examples/*/*_falcotest.yaml", "../../examples/*/*/*_falcotest.yaml", "../../falcotest/testdata/*/*_falcotest.yaml"} {
		found, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 3 {
		t.Fatalf("only %d examples were found", len(files))
	}
	if dir := os.Getenv("FALCO_TESTDATA"); dir != "" || len(mustGlob("../../../shared/falco/evtgen_suite/*.yaml")) > 0 {
		files = append(files, peerFiles(t)...)
	}
	for _, file := range files {
		if err := validate(s, file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := testfile.Load(file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// The schema that editors fetch is that of the code.
func TestShippedSchema(t *testing.T) {
	golden(t, "../../falcotest/testfiles.schema.json", string(testfile.Schema()))
}

// An editor has something to say of each key.
func TestSchemaDescribes(t *testing.T) {
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e, path)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok && v["type"] != nil {
				for name, p := range properties {
					if p, ok := p.(map[string]any); !ok || p["description"] == nil || p["description"] == "" {
						t.Errorf("%s.%s has no description", path, name)
					}
				}
			}
			for key, e := range v {
				walk(e, path+"."+key)
			}
		}
	}
	walk(schemaDocument(t), "")
}

func mustGlob(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

func validate(s *jsonschema.Schema, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// It refuses what is wrong in a way that it can see.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for _, text := range []string{
		`{}`, `{"tests": []}`, `{"tests": [{"name": "a", "unknown": 1}]}`, `{"tests": [{"name": "a", "runner": "Other"}]}`,
		`{"tests": [{"name": "a", "steps": [{"type": "syscall", "name": "s", "syscall": "opne"}]}]}`,
		`{"tests": [{"name": "a", "resources": [{"type": "fd", "name": "s"}]}]}`,
	} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(doc) == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
}
