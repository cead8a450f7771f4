// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/falcoyaml"
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
		r.add(nil, r.yamlProblem(r.file.err))
		return
	}
	for _, root := range r.file.Documents {
		if key := oddKey(root); key != nil {
			p := r.fail(key, "a key must be a word, not a list or a mapping")
			p.Code = ErrYAMLParse
			r.add(key, p.hint("put text that begins with [ or { into quotes"))
			return
		}
	}
	for _, root := range r.file.Documents {
		r.item = ""
		if root.Kind != falcoyaml.Sequence {
			r.add(root, r.fail(root, "the file is no list of rules, macros and lists").hint("a rules file is a list of items that begin with '- rule:', '- macro:' or '- list:'"))
			continue
		}
		for _, n := range root.Items {
			r.item = ""
			if err := r.file.count(1); err != nil {
				r.add(n, err)
				return
			}
			if n.Kind == falcoyaml.Null {
				continue
			}
			if err := r.readItem(n); err != nil {
				r.add(n, err)
			}
		}
	}
	if off := r.file.Ignored; off > 0 {
		r.remark(r.file.position(off), "Falco reads the file up to here only: a document before this is empty").
			hint("nothing from here on is loaded: take out the '---' that has nothing, or only a comment, between it and the next")
	}
}

// oddKey finds a key that is a collection, in those mappings where Falco stumbles
// over it: it compares items, and what is known of them, with a schema first.
func oddKey(root *falcoyaml.Node) *falcoyaml.Node {
	key := func(n *falcoyaml.Node) *falcoyaml.Node {
		for i := 0; n != nil && n.Kind == falcoyaml.Map && i < len(n.Items); i += 2 {
			if k := n.Items[i].Kind; k == falcoyaml.Sequence || k == falcoyaml.Map {
				return n.Items[i]
			}
		}
		return nil
	}
	var within func(list *falcoyaml.Node, below ...string) *falcoyaml.Node
	within = func(list *falcoyaml.Node, below ...string) *falcoyaml.Node {
		if list == nil || list.Kind != falcoyaml.Sequence {
			return nil
		}
		for _, n := range list.Items {
			if k := cmp.Or(key(n), key(n.Get("override"))); k != nil {
				return k
			}
			for _, name := range below {
				var next []string
				if name == "required_plugin_versions" {
					next = []string{"alternatives"}
				}
				if k := within(n.Get(name), next...); k != nil {
					return k
				}
			}
		}
		return nil
	}
	return within(root, "exceptions", "required_plugin_versions")
}

// yamlProblem says why a file could not be parsed.
func (r *reader) yamlProblem(err error) *Problem {
	var e *falcoyaml.Error
	if !errors.As(err, &e) {
		return r.problem(ErrYAMLParse, filter.Pos{File: r.file.name}, "", err.Error())
	}
	p := r.problem(ErrYAMLParse, filter.Pos{File: r.file.name, Line: e.Line, Column: e.Column}, "", e.Msg)
	p.Hint = e.Hint
	return p
}

// add notes an error, which is about n when it does not say where it is.
func (r *reader) add(n *falcoyaml.Node, err error) {
	p, ok := err.(*Problem)
	if !ok {
		p = r.fail(n, "%v", err)
	}
	r.errs = append(r.errs, p)
}

// fail makes an error about a node.
func (r *reader) fail(n *falcoyaml.Node, format string, args ...any) *Problem {
	return r.problem(ErrYAMLValidate, r.file.pos(n), r.item, fmt.Sprintf(format, args...))
}

// invalid makes an error about what an item means, rather than how it is written.
func (r *reader) invalid(pos filter.Pos, format string, args ...any) *Problem {
	return r.problem(ErrValidate, pos, r.item, fmt.Sprintf(format, args...))
}

func (r *reader) warn(code Code, n *falcoyaml.Node, format string, args ...any) *Problem {
	p := r.problem(code, r.file.pos(n), r.item, fmt.Sprintf(format, args...))
	r.warnings = append(r.warnings, p)
	return p
}

// remark notes what Falco itself says nothing about.
func (l *loader) remark(pos filter.Pos, format string, args ...any) *Problem {
	p := l.problem(Remark, pos, "", fmt.Sprintf(format, args...))
	l.remarks = append(l.remarks, p)
	return p
}

func (p *Problem) hint(format string, args ...any) *Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}

func (r *reader) readItem(n *falcoyaml.Node) error {
	if n.Kind != falcoyaml.Map {
		return r.fail(n, "unexpected element: each element of a rules file must be a mapping").hint("begin it with '- rule:', '- macro:' or '- list:'")
	}
	for _, kind := range []struct {
		key  string
		read func(*falcoyaml.Node) error
		keys []string
	}{
		{"required_engine_version", r.readEngineVersion, nil},
		{"required_plugin_versions", r.readPluginVersions, nil},
		{"list", r.readList, []string{"items", "append", "override"}},
		{"macro", r.readMacro, []string{"condition", "append", "override"}},
		{"rule", r.readRule, ruleKeys},
	} {
		v := n.Get(kind.key)
		if v == nil {
			continue
		}
		if v.Kind == falcoyaml.Scalar && kind.keys != nil {
			r.item = itemName(kind.key, v.Value)
		}
		r.checkKeys(n, append([]string{kind.key}, kind.keys...))
		return kind.read(n)
	}
	p := r.warn(UnknownItem, n, "unknown top level item")
	if len(n.Items) > 0 {
		key := n.Items[0].Value
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

// checkKeys warns of keys that nobody reads: most of them are misspelt, or there twice.
func (r *reader) checkKeys(m *falcoyaml.Node, known []string) {
	first := map[string]*falcoyaml.Node{}
	for i := 0; i+1 < len(m.Items); i += 2 {
		k := m.Items[i]
		if k.Kind == falcoyaml.Scalar && first[k.Value] != nil {
			p := r.remark(r.file.pos(k), "the key '%s' is there already, in line %d: Falco takes that one and ignores this", strings.ToValidUTF8(cut(k.Value, 60), "?"), r.file.pos(first[k.Value]).Line)
			p.Item = r.item
			if k.Value == known[0] { // so are all that follow
				p.hint("if another item is to begin here, put a '-' before it")
				return
			}
			p.hint("leave one of them")
			continue
		}
		first[k.Value] = k
		if k.Kind != falcoyaml.Scalar || slices.Contains(known, k.Value) {
			continue
		}
		p := r.remark(r.file.pos(k), "unknown key '%s' is ignored", strings.ToValidUTF8(cut(k.Value, 60), "?"))
		p.Code, p.Item = UnknownKey, r.item
		if near := spelling.Nearest(k.Value, known); near != "" {
			p.hint("did you mean %s?", near)
		}
	}
}

// scalar returns the value of a key that must be a scalar and not empty. It is
// nil when the key is optional and not there.
func (r *reader) scalar(m *falcoyaml.Node, key string, optional bool) (*falcoyaml.Node, error) {
	v := m.Get(key)
	switch {
	case v == nil && optional:
		return nil, nil
	case v == nil:
		p := r.fail(m, "the item has no key '%s'", key)
		return nil, p.hint("add '%s:'", key)
	case v.Kind == falcoyaml.Null:
		return nil, r.fail(m, "the value of '%s' is empty", key)
	case v.Kind != falcoyaml.Scalar:
		return nil, r.fail(v, "the value of '%s' is not a scalar", key)
	case v.Value == "":
		return nil, r.fail(v, "the value of '%s' must not be empty", key)
	}
	return v, nil
}

func (r *reader) stringValue(m *falcoyaml.Node, key string, out *string) error {
	v, err := r.scalar(m, key, false)
	if err == nil {
		*out = v.Value
	}
	return err
}

// boolValue reads an optional truth value.
func (r *reader) boolValue(m *falcoyaml.Node, key string, out *bool) error {
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
func (r *reader) condition(m *falcoyaml.Node, out **filter.Text) error {
	v, err := r.scalar(m, "condition", false)
	if err == nil {
		*out = r.file.text(v)
	}
	return err
}

func (r *reader) readEngineVersion(n *falcoyaml.Node) error {
	r.item = "required_engine_version"
	v, err := r.scalar(n, "required_engine_version", false)
	if err != nil {
		return err
	}
	want, ok := version{}, true
	if u, isNumber := parseUnsigned(v.Value); isNumber {
		want = version{minor: uint64(u)} // an old number N is version 0.N.0
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

func (r *reader) readPluginVersions(n *falcoyaml.Node) error {
	r.item = "required_plugin_versions"
	seq := n.Get("required_plugin_versions")
	if seq.Kind != falcoyaml.Sequence {
		return r.fail(seq, "the value of required_plugin_versions must be a sequence")
	}
	for _, p := range seq.Items {
		req := pluginRequirement{pos: r.file.pos(p)}
		first, err := r.pluginVersion(p)
		if err != nil {
			return err
		}
		req.alternatives = append(req.alternatives, first)
		if alts := p.Get("alternatives"); alts != nil {
			if alts.Kind != falcoyaml.Sequence {
				return r.fail(alts, "the alternatives of a plugin version must be a sequence")
			}
			for _, a := range alts.Items {
				alt, err := r.pluginVersion(a)
				if err != nil {
					return err
				}
				req.alternatives = append(req.alternatives, alt)
			}
		}
		for i, alt := range req.alternatives {
			if _, ok := parseVersion(alt.Version); !ok {
				return r.invalid(req.pos, "invalid required version '%s' for plugin '%s'", cut(alt.Version, 40), cut(alt.Name, 40)).hint("write x.y.z")
			}
			if slices.ContainsFunc(req.alternatives[:i], func(p PluginVersion) bool { return p.Name == alt.Name }) {
				return r.invalid(req.pos, "several alternatives for the version of plugin '%s'", alt.Name)
			}
		}
		r.plugins = append(r.plugins, req)
	}
	return nil
}

func (r *reader) pluginVersion(n *falcoyaml.Node) (p PluginVersion, err error) {
	if n.Kind != falcoyaml.Map {
		return p, r.fail(n, "a plugin version must be a mapping")
	}
	if err := r.stringValue(n, "name", &p.Name); err != nil {
		return p, err
	}
	return p, r.stringValue(n, "version", &p.Version)
}

const (
	appendDeprecated  = "'append' is deprecated"
	appendHint        = "write an 'append' entry under 'override' instead, e.g. 'override: {condition: append}'"
	enabledDeprecated = "a rule with nothing but 'enabled' is deprecated"
	enabledHint       = "write 'enabled: true' with 'override: {enabled: replace}'"
)

// readAppend reads append and override, and tells whether the key of a list or
// macro is to be appended.
func (r *reader) readAppend(n *falcoyaml.Node, key string) (add bool, err error) {
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

func (r *reader) overrideAndAppend(n *falcoyaml.Node) error {
	return r.fail(n, "the keys 'override' and 'append: true' cannot be used together").hint(appendHint)
}

// overrides reads the keys that override appends to or replaces. As in Falco, a
// value that is no collection says nothing.
func (r *reader) overrides(n *falcoyaml.Node, canAppend, canReplace []string) (adds, replaces []string, err error) {
	m := n.Get("override")
	switch {
	case m == nil || m.Kind == falcoyaml.Null || len(m.Items) == 0:
		return nil, nil, nil
	case m.Kind != falcoyaml.Map:
		return nil, nil, r.invalid(r.file.pos(m), "the value of 'override' must be a mapping of keys to 'append' or 'replace'")
	}
	for i := 0; i+1 < len(m.Items); i += 2 {
		k, v := m.Items[i], m.Items[i+1]
		key, err := r.overrideWord(k)
		if err != nil {
			return nil, nil, err
		}
		op, err := r.overrideWord(v)
		if err != nil {
			return nil, nil, err
		}
		var allowed []string
		if slices.Contains(canAppend, key) {
			allowed = append(allowed, "append")
		}
		if slices.Contains(canReplace, key) {
			allowed = append(allowed, "replace")
		}
		switch op {
		case "append":
			if !slices.Contains(allowed, "append") {
				p := r.fail(k, "key '%s' cannot be appended to", cut(key, 60))
				if len(allowed) > 0 {
					p.hint("use 'replace' instead")
				}
				return nil, nil, p
			}
			adds = append(adds, key)
		case "replace":
			if !slices.Contains(allowed, "replace") {
				p := r.fail(k, "key '%s' cannot be replaced", cut(key, 60))
				if near := spelling.Nearest(key, canReplace); near != "" {
					p.hint("did you mean %s?", near)
				}
				return nil, nil, p
			}
			replaces = append(replaces, key)
		default:
			p := r.fail(v, "invalid override operation for key '%s': '%s'", cut(key, 60), cut(op, 40))
			if len(allowed) > 0 {
				p.hint("allowed values are: %s", strings.Join(allowed, " "))
			}
			return nil, nil, p
		}
	}
	return adds, replaces, nil
}

func (r *reader) overrideWord(n *falcoyaml.Node) (string, error) {
	switch n.Kind {
	case falcoyaml.Null:
		return "null", nil
	case falcoyaml.Scalar:
		return n.Value, nil
	}
	return "", r.invalid(r.file.pos(n), "the keys and values of 'override' must be words")
}

// strings reads a sequence of scalars.
func (r *reader) strings(seq *falcoyaml.Node, what string) ([]listItem, error) {
	if seq.Kind != falcoyaml.Sequence {
		return nil, r.fail(seq, "the value of '%s' is not a sequence", what)
	}
	if err := r.file.count(len(seq.Items)); err != nil {
		return nil, err
	}
	items := make([]listItem, 0, len(seq.Items))
	for _, v := range seq.Items {
		if v.Kind == falcoyaml.Null {
			return nil, r.fail(v, "an item of '%s' is empty", what).hint("put a ~ or null that is meant as text into quotes")
		}
		if v.Kind != falcoyaml.Scalar {
			return nil, r.fail(v, "an item of '%s' is not a scalar", what).hint("flatten it, or name a list")
		}
		items = append(items, listItem{v.Value, r.file.pos(v)})
	}
	return items, nil
}

func (r *reader) readList(n *falcoyaml.Node) error {
	l := &list{pos: r.file.pos(n)}
	if err := r.stringValue(n, "list", &l.name); err != nil {
		return err
	}
	l.oddName = strings.ContainsAny(l.name, delims)
	if !filter.IsBareString(l.name) {
		r.warn(InvalidListName, n, "the list's name is invalid").hint(`names of lists have no blanks, quotes, parentheses, commas or equals signs`)
	}
	seq := n.Get("items")
	if seq == nil {
		return r.fail(n, "the item has no key 'items'").hint("add 'items: []'")
	}
	var err error
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
	r.changed[l.name] = true
	return nil
}

func (r *reader) readMacro(n *falcoyaml.Node) error {
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
	prev.condition = condition{}
	r.changed[m.name] = true
	return nil
}

// priority reads a rule's priority.
func (r *reader) priority(n *falcoyaml.Node, out *alert.Priority) error {
	v, err := r.scalar(n, "priority", false)
	if err != nil {
		return err
	}
	if *out, err = alert.ParsePriority(v.Value); err != nil {
		return r.fail(v, "invalid priority '%s'", cut(v.Value, 40)).hint("one of emergency alert critical error warning notice informational debug")
	}
	return nil
}

func (r *reader) tags(n *falcoyaml.Node, out *[]string) error {
	seq := n.Get("tags")
	if seq == nil {
		return nil
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

func (r *reader) captureDuration(n *falcoyaml.Node, out *time.Duration) error {
	v, err := r.scalar(n, "capture_duration", true)
	if v == nil || err != nil {
		return err
	}
	ms, ok := parseUnsigned(v.Value)
	if !ok {
		return r.fail(v, "the value of 'capture_duration' is not a number of milliseconds")
	}
	*out = time.Duration(ms) * time.Millisecond
	return nil
}
