// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/falcoyaml"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source"
)

// What override may do to the keys of rules, in the order in which Falco reads
// them.
var (
	appendableKeys  = []string{"condition", "exceptions", "output", "desc", "tags"}
	replaceableKeys = []string{"condition", "exceptions", "output", "desc", "tags", "priority", "capture", "capture_duration",
		"enabled", "warn_evttypes", "skip-if-unknown-filter"}
)

func (r *reader) readRule(n *falcoyaml.Node) error {
	var name, source string
	if err := r.stringValue(n, "rule", &name); err != nil {
		return err
	}
	if v := n.Get("source"); v != nil && v.Kind != falcoyaml.Null {
		if v.Kind != falcoyaml.Scalar {
			return r.fail(v, "the value of 'source' is not a scalar")
		}
		source = v.Value
	}
	var add bool
	if err := r.boolValue(n, "append", &add); err != nil {
		return err
	}
	if add {
		r.warn(DeprecatedItem, n, appendDeprecated).hint(appendHint)
	}
	adds, replaces, err := r.overrides(n, appendableKeys, replaceableKeys)
	if err != nil {
		return err
	}
	if add && len(adds)+len(replaces) > 0 {
		return r.overrideAndAppend(n)
	}
	switch {
	case len(adds)+len(replaces) > 0:
		return r.overrideRule(n, name, source, adds, replaces)
	case add:
		return r.appendRule(n, name, source)
	}
	for _, key := range []string{"condition", "output", "desc", "priority"} {
		if n.Get(key) != nil {
			return r.defineRuleItem(n, name)
		}
	}
	return r.enableRule(n, name)
}

// defineRuleItem reads a rule with all it must have.
func (r *reader) defineRuleItem(n *falcoyaml.Node, name string) error {
	u := &rule{name: name, source: source.Default, enabled: true, warnEventTypes: true, pos: r.file.pos(n)}
	if err := r.condition(n, &u.cond); err != nil {
		return err
	}
	out, err := r.scalar(n, "output", false)
	if err != nil {
		return err
	}
	u.output, u.outputPos = strings.Trim(out.Value, " \t\n\r\v\f"), r.file.pos(out)
	for _, read := range []func() error{
		func() error { return r.stringValue(n, "desc", &u.desc) },
		func() error { return r.priority(n, &u.priority) },
		func() error {
			if n.Get("source") == nil {
				return nil
			}
			return r.stringValue(n, "source", &u.source)
		},
		func() error { return r.boolValue(n, "enabled", &u.enabled) },
		func() error { return r.boolValue(n, "capture", &u.capture) },
		func() error { return r.captureDuration(n, &u.captureDuration) },
		func() error { return r.boolValue(n, "warn_evttypes", &u.warnEventTypes) },
		func() error { return r.boolValue(n, "skip-if-unknown-filter", &u.skipUnknownFilter) },
		func() error { return r.tags(n, &u.tags) },
		func() error { return r.exceptions(n, &u.exceptions, false) },
	} {
		if err := read(); err != nil {
			return err
		}
	}
	if _, err := r.previous(n, name, u.source); err != nil {
		return err
	}
	src := r.sources[u.source]
	if src == nil {
		u.unknownSource = true
		r.warn(UnknownSource, n, "unknown source %s, the rule is left out", cut(u.source, 40)).hint("known sources: %s", r.sourceNames())
	}
	for _, ex := range u.exceptions {
		if !ex.fields.set() {
			return r.invalid(ex.pos, "the exception %s must have a 'fields' property", ex.name)
		}
		if err := r.checkException(src, ex); err != nil {
			return err
		}
	}
	r.defineRule(u)
	return nil
}

// previous returns the rule of that name that was read before, if any.
func (r *reader) previous(n *falcoyaml.Node, name, source string) (*rule, error) {
	prev := r.ruleByName[name]
	if prev != nil && source != "" && prev.source != source {
		return nil, r.invalid(r.file.pos(n), "the rule is re-defined with a different source: %s, before it was %s", cut(source, 40), prev.source)
	}
	return prev, nil
}

// enableRule reads an item that has only 'enabled'.
func (r *reader) enableRule(n *falcoyaml.Node, name string) error {
	if v, err := r.scalar(n, "enabled", false); err != nil {
		p, ok := err.(*Problem)
		if v == nil && ok {
			p.hint("a rule has condition, output, desc and priority; an item that changes one has 'override'")
		}
		return err
	}
	var enabled bool
	if err := r.boolValue(n, "enabled", &enabled); err != nil {
		return err
	}
	r.warn(DeprecatedItem, n, enabledDeprecated).hint(enabledHint)
	prev := r.ruleByName[name]
	if prev == nil {
		return r.invalid(r.file.pos(n), "the rule has only the key 'enabled', but no rule of that name exists already")
	}
	prev.enabled = enabled
	return nil
}

// update is what an item changes of a rule that exists: the values of keys.
type update struct {
	keys       []string
	source     string // "" when it does not matter
	condition  *filter.Text
	exceptions []*exception
	output     *falcoyaml.Node
	desc       string
	tags       []string
	priority   alert.Priority
	duration   time.Duration
	flags      map[string]bool
}

// readUpdate reads the values of keys.
func (r *reader) readUpdate(n *falcoyaml.Node, source string, keys []string, add bool) (*update, error) {
	u := &update{keys: keys, flags: map[string]bool{}}
	for _, key := range keys {
		var err error
		switch key {
		case "condition":
			u.source = source
			err = r.condition(n, &u.condition)
		case "exceptions":
			err = r.exceptions(n, &u.exceptions, add)
		case "output":
			u.output, err = r.scalar(n, key, false)
		case "desc":
			err = r.stringValue(n, key, &u.desc)
		case "tags":
			err = r.tags(n, &u.tags)
		case "priority":
			err = r.priority(n, &u.priority)
		case "capture_duration":
			err = r.captureDuration(n, &u.duration)
		default:
			var b bool
			err = r.boolValue(n, key, &b)
			u.flags[key] = b
		}
		if err != nil {
			return nil, err
		}
	}
	return u, nil
}

// appendRule reads an item with 'append: true'.
func (r *reader) appendRule(n *falcoyaml.Node, name, source string) error {
	var keys []string
	for _, key := range []string{"condition", "exceptions"} {
		if n.Get(key) != nil {
			keys = append(keys, key)
		}
	}
	u, err := r.readUpdate(n, source, keys, true)
	if err != nil {
		return err
	}
	u.source = source
	return r.addToRule(n, name, u)
}

// overrideRule reads an item with 'override'.
func (r *reader) overrideRule(n *falcoyaml.Node, name, source string, adds, replaces []string) error {
	left := map[string]bool{} // keys of the item that override has not named
	for _, key := range replaceableKeys {
		if n.Get(key) != nil {
			left[key] = true
		}
	}
	// take returns those of the keys that are asked for, in Falco's order.
	take := func(order, asked []string) (keys []string, err error) {
		for _, key := range order {
			if !slices.Contains(asked, key) {
				continue
			}
			if !left[key] {
				return nil, r.fail(n, "an override for '%s' was specified, but '%s' is not defined", key, key)
			}
			delete(left, key)
			keys = append(keys, key)
		}
		return keys, nil
	}
	if len(adds) > 0 {
		keys, err := take(appendableKeys, adds)
		if err != nil {
			return err
		}
		u, err := r.readUpdate(n, source, keys, true)
		if err != nil {
			return err
		}
		if err := r.addToRule(n, name, u); err != nil {
			return err
		}
	}
	if len(replaces) > 0 {
		keys, err := take(replaceableKeys, replaces)
		if err != nil {
			return err
		}
		u, err := r.readUpdate(n, source, keys, false)
		if err != nil {
			return err
		}
		if err := r.replaceInRule(n, name, u); err != nil {
			return err
		}
	}
	for i := 0; i+1 < len(n.Items); i += 2 {
		if k := n.Items[i]; k.Kind == falcoyaml.Scalar && left[k.Value] {
			return r.fail(k, "unexpected key '%s': no corresponding entry under 'override' is defined", k.Value).hint("add '%s: append' or '%s: replace' there", k.Value, k.Value)
		}
	}
	return nil
}

// addToRule appends to a rule that exists.
func (r *reader) addToRule(n *falcoyaml.Node, name string, u *update) error {
	prev, err := r.previous(n, name, u.source)
	if err != nil {
		return err
	}
	pos := r.file.pos(n)
	if prev == nil {
		return r.invalid(pos, "the rule is to be appended to, but no rule of that name exists already").hint("define it first, in this file or in one before it")
	}
	if len(u.keys) == 0 {
		return r.invalid(pos, "an appended rule must have exceptions or a condition")
	}
	if u.condition != nil {
		prev.cond = appendText(prev.cond, u.condition, pos)
	}
	if u.output != nil {
		prev.output += " " + u.output.Value
	}
	if u.desc != "" {
		prev.desc += " " + u.desc
	}
	prev.tags = mergeTags(prev.tags, u.tags)
	if err := r.addExceptions(prev, u.exceptions); err != nil {
		return err
	}
	r.changeRule(prev)
	return nil
}

// replaceInRule puts values in place of those of a rule that exists.
func (r *reader) replaceInRule(n *falcoyaml.Node, name string, u *update) error {
	prev, err := r.previous(n, name, u.source)
	if err != nil {
		return err
	}
	if prev == nil {
		return r.invalid(r.file.pos(n), "parts of the rule are to be replaced, but no rule of that name exists already").hint("define it first, in this file or in one before it")
	}
	for _, key := range u.keys {
		switch key {
		case "condition":
			prev.cond = u.condition
		case "exceptions":
			fillComps(u.exceptions)
			prev.exceptions = u.exceptions
		case "output":
			prev.output, prev.outputPos = u.output.Value, r.file.pos(u.output)
		case "desc":
			prev.desc = u.desc
		case "tags":
			prev.tags = u.tags
		case "priority":
			prev.priority = u.priority
		case "capture_duration":
			prev.captureDuration = u.duration
		case "capture":
			prev.capture = u.flags[key]
		case "enabled":
			prev.enabled = u.flags[key]
		case "warn_evttypes":
			prev.warnEventTypes = u.flags[key]
		case "skip-if-unknown-filter":
			prev.skipUnknownFilter = u.flags[key]
		}
	}
	r.changeRule(prev)
	return nil
}

// fillComps gives exceptions that replace others the operators that they do not
// name. Falco does not check these exceptions, and reads past the end of the
// operators where there are too few: in practice what is there is an empty word.
func fillComps(exs []*exception) {
	for _, ex := range exs {
		for n := len(ex.comps.items); ex.fields.list && n < len(ex.fields.items); n++ {
			ex.comps.items = append(ex.comps.items, entry{text: "="})
		}
	}
}
