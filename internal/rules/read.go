// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// Error lets a problem be returned as an error while a file is read.
func (p *Problem) Error() string { return p.String() }

// reader reads the items of one file into a collector.
type reader struct {
	*loader
	file *file
	item string // the item at hand: rule "Write below etc"
}

// read reads all items. A broken item does not keep the ones after it from
// being read, so that one run finds all that is wrong.
func (r *reader) read() {
	if r.file.err != nil {
		line, msg := yamlError(r.file.err)
		p := &Problem{Code: ErrYAMLParse, Pos: filter.Pos{File: r.file.name}, Msg: msg}
		if line > 0 {
			p.Pos.Line, p.Pos.Column = line, 1
			p.Snippet = strings.TrimSuffix(snippet(r.file.line(line), 1), "\n^")
		}
		r.errs = append(r.errs, p)
		return
	}
	for _, doc := range r.file.docs {
		if len(doc.Content) == 0 || isNull(doc.Content[0]) {
			continue
		}
		root, err := r.file.resolve(doc.Content[0])
		if err == nil && root.Kind != yaml.SequenceNode {
			err = r.fail(root, "rules content is not a YAML array of objects").hint("a rules file is a list of items that begin with '- rule:', '- macro:' or '- list:'")
		}
		if err != nil {
			r.add(doc.Content[0], err)
			continue
		}
		for _, n := range root.Content {
			r.item = ""
			n, err := r.file.resolve(n)
			if err != nil {
				r.add(root, err)
				return
			}
			if isNull(n) {
				continue
			}
			if err := r.readItem(n); err != nil {
				r.add(n, err)
			}
		}
	}
}

// add notes an error, which is about n when it does not say where it is.
func (r *reader) add(n *yaml.Node, err error) {
	p, ok := err.(*Problem)
	if !ok {
		p = r.fail(n, "%v", err)
	}
	r.errs = append(r.errs, p)
}

// fail makes an error about a node.
func (r *reader) fail(n *yaml.Node, format string, args ...any) *Problem {
	return r.problem(ErrYAMLValidate, r.file.pos(n), r.item, fmt.Sprintf(format, args...))
}

// invalid makes an error about what an item means, rather than how it is written.
func (r *reader) invalid(pos filter.Pos, format string, args ...any) *Problem {
	return r.problem(ErrValidate, pos, r.item, fmt.Sprintf(format, args...))
}

func (r *reader) warn(code Code, n *yaml.Node, format string, args ...any) *Problem {
	p := r.problem(code, r.file.pos(n), r.item, fmt.Sprintf(format, args...))
	r.warnings = append(r.warnings, p)
	return p
}

func (p *Problem) hint(format string, args ...any) *Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}

func (r *reader) readItem(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return r.fail(n, "unexpected element: each element of a rules file must be a mapping").hint("begin it with '- rule:', '- macro:' or '- list:'")
	}
	for _, kind := range []struct {
		key  string
		read func(*yaml.Node) error
		keys []string
	}{
		{"required_engine_version", r.readEngineVersion, nil},
		{"required_plugin_versions", r.readPluginVersions, nil},
		{"list", r.readList, []string{"items", "append", "override"}},
		{"macro", r.readMacro, []string{"condition", "append", "override"}},
		{"rule", r.readRule, ruleKeys},
	} {
		v, err := r.file.value(n, kind.key)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if v.Kind == yaml.ScalarNode && kind.keys != nil {
			r.item = itemName(kind.key, v.Value)
		}
		r.checkKeys(n, append([]string{kind.key}, kind.keys...))
		return kind.read(n)
	}
	p := r.warn(UnknownItem, n, "unknown top level item")
	if len(n.Content) > 0 {
		key := n.Content[0].Value
		p.Msg += " '" + strings.ToValidUTF8(cut(key, 60), "?") + "'"
		if near := spelling.Nearest(key, []string{"rule", "macro", "list", "required_engine_version", "required_plugin_versions"}); near != "" {
			p.hint("did you mean %s?", near)
		}
	}
	return nil
}

var ruleKeys = []string{"desc", "condition", "output", "priority", "source", "tags", "enabled", "warn_evttypes",
	"skip-if-unknown-filter", "exceptions", "capture", "capture_duration", "append", "override"}

func itemName(kind, name string) string { return fmt.Sprintf("%s %q", kind, cut(name, 200)) }

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// checkKeys warns of keys that nobody reads: most of them are misspelt.
func (r *reader) checkKeys(m *yaml.Node, known []string) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		k := m.Content[i]
		if k.Kind != yaml.ScalarNode || slices.Contains(known, k.Value) {
			continue
		}
		p := r.warn(UnknownKey, k, "unknown key '%s' is ignored", strings.ToValidUTF8(cut(k.Value, 60), "?"))
		if near := spelling.Nearest(k.Value, known); near != "" {
			p.hint("did you mean %s?", near)
		}
	}
}

// scalar returns the value of a key that must be a scalar and not empty. It is
// nil when the key is optional and not there.
func (r *reader) scalar(m *yaml.Node, key string, optional bool) (*yaml.Node, error) {
	v, err := r.file.value(m, key)
	switch {
	case err != nil:
		return nil, err
	case v == nil && optional:
		return nil, nil
	case v == nil:
		p := r.fail(m, "the item has no key '%s'", key)
		return nil, p.hint("add '%s:'", key)
	case isNull(v):
		return nil, r.fail(m, "the value of '%s' is empty", key)
	case v.Kind != yaml.ScalarNode:
		return nil, r.fail(v, "the value of '%s' is not a scalar", key)
	case v.Value == "":
		return nil, r.fail(v, "the value of '%s' must not be empty", key)
	}
	return v, nil
}

func (r *reader) stringValue(m *yaml.Node, key string, out *string) error {
	v, err := r.scalar(m, key, false)
	if err == nil {
		*out = v.Value
	}
	return err
}

// boolValue reads an optional truth value.
func (r *reader) boolValue(m *yaml.Node, key string, out *bool) error {
	v, err := r.scalar(m, key, true)
	if v == nil || err != nil {
		return err
	}
	b, ok := parseBool(v.Value)
	if !ok {
		return r.fail(v, "the value of '%s' is not a boolean", key).hint("write true or false")
	}
	*out = b
	return nil
}

// condition reads a condition with its places.
func (r *reader) condition(m *yaml.Node, out **filter.Text) error {
	v, err := r.scalar(m, "condition", false)
	if err == nil {
		*out = r.file.text(v)
	}
	return err
}

func (r *reader) readEngineVersion(n *yaml.Node) error {
	r.item = "required_engine_version"
	v, err := r.scalar(n, "required_engine_version", false)
	if err != nil {
		return err
	}
	want, ok := version{}, true
	if u, err := strconv.ParseUint(v.Value, 0, 32); err == nil {
		want = version{minor: u} // an old number N is version 0.N.0
	} else if want, ok = parseVersion(v.Value); !ok {
		return r.fail(v, "unable to parse engine version '%s'", cut(v.Value, 40)).hint("write a number or a semantic version: 0.58.0")
	}
	have, _ := parseVersion(EngineVersion)
	if !have.satisfies(want) {
		return r.invalid(r.file.pos(v), "the rules require engine version %s, but the engine's version is %s", want, have).
			hint("the engine of Falco 0.43 has version %s; use rules made for it", have)
	}
	if r.engine.less(want) {
		r.engine = want
	}
	return nil
}

func (r *reader) readPluginVersions(n *yaml.Node) error {
	r.item = "required_plugin_versions"
	seq, err := r.file.value(n, "required_plugin_versions")
	if err != nil {
		return err
	}
	if seq.Kind != yaml.SequenceNode {
		return r.fail(seq, "the value of required_plugin_versions must be a sequence")
	}
	for _, p := range seq.Content {
		if p, err = r.file.resolve(p); err != nil {
			return err
		}
		req := pluginRequirement{pos: r.file.pos(p)}
		first, err := r.pluginVersion(p)
		if err != nil {
			return err
		}
		req.alternatives = append(req.alternatives, first)
		alts, err := r.file.value(p, "alternatives")
		if err != nil {
			return err
		}
		if alts != nil {
			if alts.Kind != yaml.SequenceNode {
				return r.fail(alts, "the alternatives of a plugin version must be a sequence")
			}
			for _, a := range alts.Content {
				if a, err = r.file.resolve(a); err != nil {
					return err
				}
				alt, err := r.pluginVersion(a)
				if err != nil {
					return err
				}
				if slices.ContainsFunc(req.alternatives, func(p PluginVersion) bool { return p.Name == alt.Name }) {
					return r.invalid(r.file.pos(a), "several alternatives for the version of plugin '%s'", alt.Name)
				}
				req.alternatives = append(req.alternatives, alt)
			}
		}
		r.plugins = append(r.plugins, req)
	}
	return nil
}

func (r *reader) pluginVersion(n *yaml.Node) (p PluginVersion, err error) {
	if n.Kind != yaml.MappingNode {
		return p, r.fail(n, "a plugin version must be a mapping")
	}
	if err := r.stringValue(n, "name", &p.Name); err != nil {
		return p, err
	}
	if err := r.stringValue(n, "version", &p.Version); err != nil {
		return p, err
	}
	if _, ok := parseVersion(p.Version); !ok {
		return p, r.invalid(r.file.pos(n), "invalid required version '%s' for plugin '%s'", cut(p.Version, 40), cut(p.Name, 40)).hint("write x.y.z")
	}
	return p, nil
}

const (
	appendDeprecated  = "'append' is deprecated"
	appendHint        = "write an 'append' entry under 'override' instead, e.g. 'override: {condition: append}'"
	enabledDeprecated = "a rule with nothing but 'enabled' is deprecated"
	enabledHint       = "write 'enabled: true' with 'override: {enabled: replace}'"
)

// readAppend reads append and override, and tells whether the key of a list or
// macro is to be appended.
func (r *reader) readAppend(n *yaml.Node, key string) (add bool, err error) {
	if err := r.boolValue(n, "append", &add); err != nil {
		return false, err
	}
	if add {
		r.warn(DeprecatedItem, n, appendDeprecated).hint(appendHint)
	}
	adds, replaces, err := r.overrides(n, []string{key}, []string{key})
	if err != nil {
		return false, err
	}
	if add && len(adds)+len(replaces) > 0 {
		return false, r.overrideAndAppend(n)
	}
	return add || len(adds) > 0, nil
}

func (r *reader) overrideAndAppend(n *yaml.Node) error {
	return r.fail(n, "the keys 'override' and 'append: true' cannot be used together").hint(appendHint)
}

// overrides reads the keys that override appends to or replaces.
func (r *reader) overrides(n *yaml.Node, canAppend, canReplace []string) (adds, replaces []string, err error) {
	m, err := r.file.value(n, "override")
	if m == nil || err != nil || isNull(m) {
		return nil, nil, err
	}
	if m.Kind != yaml.MappingNode {
		return nil, nil, r.fail(m, "the value of 'override' must be a mapping of keys to 'append' or 'replace'")
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k := m.Content[i]
		v, err := r.file.resolve(m.Content[i+1])
		if err != nil {
			return nil, nil, err
		}
		key := cut(k.Value, 60)
		var allowed []string
		if slices.Contains(canAppend, k.Value) {
			allowed = append(allowed, "append")
		}
		if slices.Contains(canReplace, k.Value) {
			allowed = append(allowed, "replace")
		}
		switch v.Value {
		case "append":
			if !slices.Contains(allowed, "append") {
				p := r.fail(k, "key '%s' cannot be appended to", key)
				if len(allowed) > 0 {
					p.hint("use 'replace' instead")
				}
				return nil, nil, p
			}
			adds = append(adds, k.Value)
		case "replace":
			if !slices.Contains(allowed, "replace") {
				p := r.fail(k, "key '%s' cannot be replaced", key)
				if near := spelling.Nearest(k.Value, canReplace); near != "" {
					p.hint("did you mean %s?", near)
				}
				return nil, nil, p
			}
			replaces = append(replaces, k.Value)
		default:
			return nil, nil, r.fail(v, "invalid override operation for key '%s': '%s'", key, cut(v.Value, 40)).hint("allowed values are: %s", strings.Join(allowed, " "))
		}
	}
	return adds, replaces, nil
}

// strings reads a sequence of scalars.
func (r *reader) strings(seq *yaml.Node, what string) ([]listItem, error) {
	if seq.Kind != yaml.SequenceNode {
		return nil, r.fail(seq, "the value of '%s' is not a sequence", what)
	}
	var items []listItem
	for _, n := range seq.Content {
		v, err := r.file.resolve(n)
		if err != nil {
			return nil, err
		}
		if v.Kind != yaml.ScalarNode {
			return nil, r.fail(v, "an item of '%s' is not a scalar", what).hint("flatten it, or name a list")
		}
		items = append(items, listItem{v.Value, r.file.pos(v)})
	}
	return items, nil
}

func (r *reader) readList(n *yaml.Node) error {
	l := &list{pos: r.file.pos(n)}
	if err := r.stringValue(n, "list", &l.name); err != nil {
		return err
	}
	l.oddName = strings.ContainsAny(l.name, delims)
	if !filter.IsBareString(l.name) {
		r.warn(InvalidListName, n, "the list's name is invalid").hint(`names of lists have no blanks, quotes, parentheses, commas or equals signs`)
	}
	seq, err := r.file.value(n, "items")
	if err != nil {
		return err
	}
	if seq == nil {
		return r.fail(n, "the item has no key 'items'").hint("add 'items: []'")
	}
	if l.items, err = r.strings(seq, "items"); err != nil {
		return err
	}
	add, err := r.readAppend(n, "items")
	if err != nil {
		return err
	}
	if !add {
		r.defineList(l)
		return nil
	}
	prev := r.listByName[l.name]
	if prev == nil {
		return r.invalid(l.pos, "the list is to be appended to, but no list of that name exists already").hint("define it first, or leave 'append' out")
	}
	prev.items = append(slices.Clip(prev.items), l.items...)
	prev.visibility = r.number()
	return nil
}

func (r *reader) readMacro(n *yaml.Node) error {
	m := &macro{pos: r.file.pos(n)}
	if err := r.stringValue(n, "macro", &m.name); err != nil {
		return err
	}
	if !filter.IsIdentifier(m.name) {
		r.warn(InvalidMacroName, n, "the macro's name is invalid").hint("names of macros are letters, digits and _, with a letter first; others cannot be used in conditions")
	}
	if err := r.condition(n, &m.cond); err != nil {
		return err
	}
	add, err := r.readAppend(n, "condition")
	if err != nil {
		return err
	}
	if !add {
		r.defineMacro(m)
		return nil
	}
	prev := r.macroByName[m.name]
	if prev == nil {
		return r.invalid(m.pos, "the macro is to be appended to, but no macro of that name exists already").hint("define it first, or leave 'append' out")
	}
	prev.cond = appendText(prev.cond, m.cond, m.pos)
	prev.visibility = r.number()
	return nil
}

// priority reads a rule's priority.
func (r *reader) priority(n *yaml.Node, out *alert.Priority) error {
	v, err := r.scalar(n, "priority", false)
	if err != nil {
		return err
	}
	if *out, err = alert.ParsePriority(v.Value); err != nil {
		return r.fail(v, "invalid priority '%s'", cut(v.Value, 40)).hint("one of emergency alert critical error warning notice informational debug")
	}
	return nil
}

func (r *reader) tags(n *yaml.Node, out *[]string) error {
	seq, err := r.file.value(n, "tags")
	if seq == nil || err != nil {
		return err
	}
	items, err := r.strings(seq, "tags")
	if err != nil {
		return err
	}
	var tags []string
	for _, it := range items {
		tags = append(tags, it.text)
	}
	*out = mergeTags(nil, tags)
	return nil
}

func (r *reader) captureDuration(n *yaml.Node, out *time.Duration) error {
	v, err := r.scalar(n, "capture_duration", true)
	if v == nil || err != nil {
		return err
	}
	ms, err := strconv.ParseUint(v.Value, 10, 32)
	if err != nil {
		return r.fail(v, "the value of 'capture_duration' is not a number of milliseconds")
	}
	*out = time.Duration(ms) * time.Millisecond
	return nil
}
