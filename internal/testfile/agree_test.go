// SPDX-License-Identifier: Apache-2.0

package testfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

// beyondSchema are the errors of files that are valid by the schema: of texts that only
// a program reads, and of one part of a file compared with another.
var beyondSchema = regexp.MustCompile(strings.Join([]string{
	`is no duration|a duration must be`, `is no absolute path`, `is no path`, `is not the name of a process`, `the capabilities .* cannot be read`,
	`the address`, `a regular expression`, `is no priority`, `is no name of an error`, `is no name of a processor`,
	`the argument|the call|lacks one of the arguments|must be a number or names joined|there is no key .* in the argument|a group of|here twice`,
	`environment variable`, `the cases of a test need the same keys`, `a matrix needs|the list of values`, `the cases have no value`, `stands in a test without cases`,
	`is part of a text`, `for the placeholder in line`, `already, `, `is taken already`, `there is no test .* to extend|extends itself|there are several tests`,
	`there is no resource or step|has no field|is not before this step`, `process \d+ of the chain has capabilities`, `expects an outcome of no rule`,
	`a test of the source|recorded events are|cannot be read|are made on a cluster|a test has either events`, `no count is`, `what has no value`,
	`an object lacks the key`, `there are groups|is no path of a request|would change what the test has not made`, `has nothing else`,
	`nothing is expected here|a count needs a bound|a priority needs one bound`, `fires: false expects no alert`,
	`a resource of the subtype`, `more than \d+ cases`, `\[\d+\] (lacks the key|must be an object)|is no value of the test .*\[\d+\]\.type`,
}, "|"))

// A file that the schema takes is refused for nothing that a schema can say.
func TestSchemaTakesNoMore(t *testing.T) {
	doc := schemaDocument(t)
	s := compiled(t)
	taken := 0
	for seed := range uint64(600) {
		g := &generator{rand.New(rand.NewPCG(seed, 1)), 0, doc}
		file, ok := g.value(doc, "")
		if !ok || s.Validate(file) != nil {
			continue // one alternative excludes another
		}
		taken++
		data, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = testfile.Parse("f.yaml", data)
		var problems testfile.Problems
		if err == nil || !errors.As(err, &problems) {
			continue
		}
		for _, p := range problems {
			if !beyondSchema.MatchString(p.Error()) {
				t.Errorf("seed %d: the schema takes it, and the language says: %v\n%s", seed, p, data)
				break
			}
		}
	}
	if taken < 100 {
		t.Errorf("only %d of the files are valid", taken)
	}
}

// A file that the language takes is valid by the schema.
func TestSchemaTakesNoLess(t *testing.T) {
	s := compiled(t)
	var files []any
	for _, glob := range []string{"testdata/*.yaml", "testdata/errors/*.yaml", "../../examples/*/rules/*_falcotest.yaml", "../../falcotest/testdata/*/*_falcotest.yaml"} {
		for _, name := range mustGlob(glob) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var v any
			if yaml.Unmarshal(data, &v) == nil {
				files = append(files, v)
			}
		}
	}
	var tests []any
	for _, f := range files {
		if m, ok := f.(map[string]any); ok {
			if list, ok := m["tests"].([]any); ok {
				tests = append(tests, list...)
			}
		}
	}
	taken := 0
	for seed := range uint64(800) {
		g := &generator{rand.New(rand.NewPCG(seed, 2)), 0, nil}
		one := g.mutate(copied(tests[g.IntN(len(tests))]), g.IntN(4))
		file := map[string]any{"tests": []any{one}}
		data, err := json.Marshal(file)
		if err != nil {
			continue
		}
		if _, err := testfile.Parse("f.yaml", data); err != nil {
			continue
		}
		taken++
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("seed %d: the language takes it, and the schema says: %v\n%s", seed, err, data)
		}
	}
	if taken < 100 {
		t.Errorf("only %d of the files are taken", taken)
	}
}

// Whatever is changed in a file that is right, all that is wrong has a place, is told
// once, and is not followed by what is right.
func TestMutatedFiles(t *testing.T) {
	place := regexp.MustCompile(`^f\.yaml:[1-9]\d*:[1-9]\d*: \S`)
	for _, name := range append(mustGlob("testdata/*.yaml"), mustGlob("../../falcotest/testdata/testforms/*_falcotest.yaml")...) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(40) {
			g := &generator{rand.New(rand.NewPCG(seed, 3)), 0, nil}
			changed := g.mutate(copied(v), 1+g.IntN(3))
			text, err := json.MarshalIndent(changed, "", "  ")
			if err != nil {
				continue
			}
			file, err := testfile.Parse("f.yaml", text)
			if err == nil {
				if err := file.Explain(&strings.Builder{}); err != nil {
					t.Error(err)
				}
				continue
			}
			told := map[string]bool{}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !place.MatchString(line) || told[line] {
					t.Errorf("%s, seed %d: %q has no place, or is told twice", name, seed, line)
				}
				told[line] = true
			}
		}
	}
}

func schemaDocument(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(testfile.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// generator makes values.
type generator struct {
	*rand.Rand
	depth    int
	document map[string]any
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

var texts = []string{"a", "b", "R", "1s", "/tmp/x", "x y", "EPERM", "warning", "O_RDONLY", "127.0.0.1:80", "%{ item.a }", "${a.fd}", "true", "5", "all=iep", "cap_chown=ep", "("}

// value makes a value that a part of a schema describes.
func (g *generator) value(s any, key string) (any, bool) {
	if g.depth++; g.depth > 400 {
		return nil, false
	}
	m, ok := s.(map[string]any)
	if !ok {
		return pick(g, texts), s != false
	}
	if ref, ok := m["$ref"].(string); ok {
		return g.value(g.document["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")], key)
	}
	if enum, ok := m["enum"].([]any); ok {
		return pick(g, enum), true
	}
	if v, ok := m["const"]; ok {
		return v, true
	}
	if any, ok := m["anyOf"].([]any); ok {
		if i := g.IntN(8); i >= 2 {
			return g.value(any[0], key)
		}
		return g.value(pick(g, any), key)
	}
	if _, ok := m["pattern"]; ok {
		return "%{ item.a }", true
	}
	kind, _ := m["type"].(string)
	if kinds, ok := m["type"].([]any); ok {
		kind = pick(g, kinds).(string)
	}
	switch kind {
	case "null":
		return nil, true
	case "boolean":
		return g.IntN(2) == 0, true
	case "integer", "number":
		least, most := 0.0, 300.0
		if v, ok := m["minimum"].(float64); ok {
			least = v
		}
		if v, ok := m["maximum"].(float64); ok {
			most = min(v, least+300)
		}
		return float64(int(least + g.Float64()*(most-least))), true
	case "array":
		n := 1 + g.IntN(2)
		if v, ok := m["minItems"].(float64); ok {
			n = max(n, int(v))
		}
		list := []any{}
		for range n {
			v, ok := g.value(m["items"], key)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case "object":
		return g.object(m)
	}
	return pick(g, texts), true
}

func (g *generator) object(m map[string]any) (any, bool) {
	out := map[string]any{}
	fill := func(m map[string]any) bool {
		properties, _ := m["properties"].(map[string]any)
		required, _ := m["required"].([]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if _, there := out[name]; there || !slices.Contains(required, any(name)) && g.IntN(4) != 0 {
				continue
			}
			v, ok := g.value(properties[name], name)
			if !ok {
				return false
			}
			out[name] = v
		}
		return true
	}
	if !fill(m) {
		return nil, false
	}
	if alternatives, ok := m["allOf"].([]any); ok {
		for _, a := range alternatives {
			a := a.(map[string]any)
			chosen := a["if"].(map[string]any)["properties"].(map[string]any)
			for key, want := range chosen {
				if fmt.Sprint(out[key]) == fmt.Sprint(want.(map[string]any)["const"]) && !fill(a["then"].(map[string]any)) {
					return nil, false
				}
			}
		}
	}
	if more, ok := m["additionalProperties"].(map[string]any); ok {
		names := []string{"a", "b", "fd", "pathname", "flags"}
		for range 1 + g.IntN(2) {
			v, ok := g.value(more, "")
			if !ok {
				return nil, false
			}
			out[pick(g, names)] = v
		}
	}
	if g.IntN(20) == 0 {
		out["x-note"] = pick(g, texts)
	}
	return out, true
}

// mutate changes a value in so many places.
func (g *generator) mutate(v any, times int) any {
	for range times {
		v = g.change(v)
	}
	return v
}

func (g *generator) change(v any) any {
	other := []any{nil, true, 5, -1, 1.5, "x", "", "%{ item.a }", []any{}, []any{"a"}, map[string]any{}, map[string]any{"a": "b"}, "1s", "/x", "false", 0}
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 || g.IntN(12) == 0 {
			break
		}
		key := pick(g, keys)
		switch g.IntN(10) {
		case 0:
			delete(v, key)
		case 1:
			v[key+"x"] = v[key]
			delete(v, key)
		case 2:
			v[pick(g, []string{"fires", "count", "source", "extends", "draft", "exists", "atLeast", "x-a", "quiet", "expectError", "append"})] = pick(g, other)
		default:
			v[key] = g.change(v[key])
		}
		return v
	case []any:
		if len(v) == 0 || g.IntN(10) == 0 {
			break
		}
		i := g.IntN(len(v))
		if g.IntN(8) == 0 {
			return append(v, copied(v[i]))
		}
		v[i] = g.change(v[i])
		return v
	}
	return pick(g, other)
}

// copied is a deep copy of a value of JSON.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}
