// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// Schema returns the language as a JSON Schema (2020-12), for editors. It takes
// every file that [Parse] takes, but does not compare one part of a file with
// another, as Parse does.
func Schema() []byte {
	s := plainSchema(language())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Tests for Falco rules"
	// The keys that a test takes over from another are not required of it.
	item := plainSchema(testShape())
	item["required"] = []string{"name"}
	tests := plainSchema(language().field("tests").shape) // a list, and nothing that stands for it
	tests["items"] = item
	s["properties"].(schema)["tests"] = tests
	quiet := plainSchema(language().field("quiet").shape) // of the file, which has no cases
	quiet["items"] = plainSchema(language().field("quiet").shape.items)
	s["properties"].(schema)["quiet"] = schema{"description": quiet["description"], "anyOf": []any{quiet, schema{"type": "null"}}}
	// Resources and steps, too, may be parts of others'; the rest of the test is checked
	// where it is whole.
	properties, whole, defs := item["properties"].(schema), schema{}, schema{}
	for _, name := range []string{"resources", "steps"} {
		defs[name] = schemaOf(testShape().field(name).shape)
		ref := schema{"$ref": "#/$defs/" + name}
		part := schema{"type": "array", "items": schema{"type": "object", "required": []string{"name"}}}
		properties[name] = schema{"description": testShape().field(name).doc, "anyOf": []any{ref, part, schema{"type": "null"}}}
		whole[name] = schema{"anyOf": []any{ref, schema{"type": "null"}}}
	}
	s["$defs"] = defs
	item["if"], item["else"] = schema{"required": []string{"extends"}}, schema{"properties": whole}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // the shapes are fixed
	}
	return b.Bytes()
}

type schema = map[string]any

// standIn is what may stand for any value: a placeholder, or where bindings
// are, a binding.
var standIn = schema{"type": "string", "pattern": `%\{\s*item\.\S+?\s*\}`}

var typeNames = map[Kind]string{null: "null", text: "string", number: "integer", boolean: "boolean", list: "array", object: "object"}

// schemaOf is the schema of a value, or of what stands for it.
func schemaOf(s *Shape) schema {
	out := plainSchema(s)
	if s.items == s {
		return out // any value
	}
	return schema{"anyOf": []any{out, standIn}, "description": s.doc}
}

func plainSchema(s *Shape) schema {
	if s.items == s {
		return schema{"description": s.doc} // any value
	}
	var kinds []string
	for _, k := range s.kinds {
		kinds = append(kinds, typeNames[k])
	}
	if slices.Contains(kinds, "string") && slices.Contains(kinds, "integer") {
		kinds[slices.Index(kinds, "integer")] = "number"
	}
	out := schema{"description": s.doc, "type": kinds}
	if len(kinds) == 1 {
		out["type"] = kinds[0]
	}
	if slices.Contains(s.kinds, text) && !s.empty && len(s.choices) == 0 {
		out["minLength"] = 1
	}
	if len(s.choices) > 0 {
		out["enum"] = s.choices
	}
	if len(s.examples) > 0 {
		out["examples"] = s.examples
	}
	if slices.Contains(s.kinds, number) && !slices.Contains(s.kinds, text) {
		out["minimum"], out["maximum"] = s.least, cmp.Or(s.most, maxNumber)
	}
	if slices.Contains(s.kinds, list) && s.items != nil {
		out["items"] = schemaOf(s.items)
		if s.least > 0 {
			out["minItems"] = s.least
		}
		if s.most > 0 {
			out["maxItems"] = s.most
		}
	}
	if slices.Contains(s.kinds, object) {
		objectSchema(s, out)
	}
	return out
}

func objectSchema(s *Shape, out schema) {
	if s.items != nil {
		out["additionalProperties"] = schemaOf(s.items)
		if s.least > 0 {
			out["minProperties"] = s.least
		}
		return
	}
	properties := schema{}
	var required []string
	add := func(f *Field, to schema) {
		one := schemaOf(f.shape)
		if !f.required {
			one = schema{"description": f.doc, "anyOf": []any{one, schema{"type": "null"}}}
		}
		to[f.name] = one
	}
	for _, f := range s.fields {
		add(f, properties)
		if f.required {
			required = append(required, f.name)
		}
	}
	out["properties"] = properties
	if len(required) > 0 {
		out["required"] = required
	}
	out["patternProperties"] = schema{"^x-": true}
	if s.selects == "" {
		out["additionalProperties"] = false
		return
	}
	// What else there may be hangs on the value that selects.
	var alternatives []any
	for _, v := range s.variants {
		more, need := schema{}, []string{}
		for _, f := range v.fields {
			add(f, more)
			if f.required {
				need = append(need, f.name)
			}
		}
		then := schema{"properties": more, "description": v.doc}
		if len(need) > 0 {
			then["required"] = need
		}
		alternatives = append(alternatives, schema{
			"if":   schema{"properties": schema{s.selects: schema{"const": v.value}}, "required": []string{s.selects}},
			"then": then,
		})
	}
	whichever := schema{} // where a placeholder stands for the value, each case chooses
	for _, v := range s.variants {
		for _, f := range v.fields {
			whichever[f.name] = true
		}
	}
	alternatives = append(alternatives, schema{
		"if":   schema{"properties": schema{s.selects: standIn}, "required": []string{s.selects}},
		"then": schema{"properties": whichever},
	})
	out["allOf"] = alternatives
	out["unevaluatedProperties"] = false
}
