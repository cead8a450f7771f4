// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// defaultSource is the source of rules that name none.
const defaultSource = "syscall"

// What override may do to the keys of rules.
var (
	appendableKeys  = []string{"condition", "output", "desc", "tags", "exceptions"}
	replaceableKeys = []string{"condition", "output", "desc", "priority", "capture", "capture_duration", "tags", "exceptions",
		"enabled", "warn_evttypes", "skip-if-unknown-filter"}
)

func (r *reader) readRule(n *yaml.Node) error {
	var name, source string
	if err := r.stringValue(n, "rule", &name); err != nil {
		return err
	}
	if v, err := r.file.value(n, "source"); err != nil {
		return err
	} else if v != nil && !isNull(v) {
		if v.Kind != yaml.ScalarNode {
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
	defines := false
	for _, key := range []string{"condition", "output", "desc", "priority"} {
		if v, err := r.file.value(n, key); err != nil {
			return err
		} else if v != nil {
			defines = true
		}
	}
	if !defines {
		return r.enableRule(n, name)
	}
	return r.defineRuleItem(n, name, source)
}

// defineRuleItem reads a rule with all it must have.
func (r *reader) defineRuleItem(n *yaml.Node, name, source string) error {
	u := &rule{name: name, source: source, enabled: true, warnEventTypes: true, pos: r.file.pos(n)}
	if v, err := r.scalar(n, "source", true); err != nil {
		return err
	} else if v == nil {
		u.source = defaultSource
	}
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
func (r *reader) previous(n *yaml.Node, name, source string) (*rule, error) {
	prev := r.ruleByName[name]
	if prev != nil && source != "" && prev.source != source {
		return nil, r.invalid(r.file.pos(n), "the rule is re-defined with a different source: %s, before it was %s", cut(source, 40), prev.source)
	}
	return prev, nil
}

// enableRule reads an item that has only 'enabled'.
func (r *reader) enableRule(n *yaml.Node, name string) error {
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

// appendRule reads an item with 'append: true'.
func (r *reader) appendRule(n *yaml.Node, name, source string) error {
	var adds []string
	for _, key := range []string{"condition", "exceptions"} {
		if v, err := r.file.value(n, key); err != nil {
			return err
		} else if v != nil {
			adds = append(adds, key)
		}
	}
	return r.addToRule(n, name, source, adds)
}

// overrideRule reads an item with 'override'.
func (r *reader) overrideRule(n *yaml.Node, name, source string, adds, replaces []string) error {
	for _, key := range append(slices.Clone(adds), replaces...) {
		v, err := r.file.value(n, key)
		if err != nil {
			return err
		}
		if v == nil {
			return r.fail(n, "an override for '%s' was specified, but '%s' is not defined", key, key)
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if slices.Contains(replaceableKeys, k.Value) && !slices.Contains(adds, k.Value) && !slices.Contains(replaces, k.Value) {
			return r.fail(k, "unexpected key '%s': no corresponding entry under 'override' is defined", k.Value).hint("add '%s: append' or '%s: replace' there", k.Value, k.Value)
		}
	}
	if len(adds) > 0 {
		if err := r.addToRule(n, name, source, adds); err != nil {
			return err
		}
	}
	if len(replaces) > 0 {
		return r.replaceInRule(n, name, source, replaces)
	}
	return nil
}

// addToRule appends the values of keys to a rule that exists.
func (r *reader) addToRule(n *yaml.Node, name, source string, keys []string) error {
	prev, err := r.previous(n, name, source)
	if err != nil {
		return err
	}
	pos := r.file.pos(n)
	if prev == nil {
		return r.invalid(pos, "the rule is to be appended to, but no rule of that name exists already").hint("define it first, in this file or in one before it")
	}
	if len(keys) == 0 {
		return r.invalid(pos, "an appended rule must have exceptions or a condition")
	}
	for _, key := range keys {
		switch key {
		case "condition":
			var cond *filter.Text
			if err := r.condition(n, &cond); err != nil {
				return err
			}
			prev.cond = appendText(prev.cond, cond, pos)
		case "output":
			var s string
			if err := r.stringValue(n, key, &s); err != nil {
				return err
			}
			prev.output += " " + s
		case "desc":
			var s string
			if err := r.stringValue(n, key, &s); err != nil {
				return err
			}
			prev.desc += " " + s
		case "tags":
			var tags []string
			if err := r.tags(n, &tags); err != nil {
				return err
			}
			prev.tags = mergeTags(prev.tags, tags)
		case "exceptions":
			var exs []*exception
			if err := r.exceptions(n, &exs, true); err != nil {
				return err
			}
			if err := r.addExceptions(prev, exs); err != nil {
				return err
			}
		}
	}
	r.number()
	return nil
}

// replaceInRule puts the values of keys in place of those of a rule that exists.
func (r *reader) replaceInRule(n *yaml.Node, name, source string, keys []string) error {
	prev, err := r.previous(n, name, source)
	if err != nil {
		return err
	}
	if prev == nil {
		return r.invalid(r.file.pos(n), "parts of the rule are to be replaced, but no rule of that name exists already").hint("define it first, in this file or in one before it")
	}
	for _, key := range keys {
		var err error
		switch key {
		case "condition":
			err = r.condition(n, &prev.cond)
		case "output":
			var v *yaml.Node
			if v, err = r.scalar(n, key, false); err == nil {
				prev.output, prev.outputPos = v.Value, r.file.pos(v)
			}
		case "desc":
			err = r.stringValue(n, key, &prev.desc)
		case "priority":
			err = r.priority(n, &prev.priority)
		case "capture":
			err = r.boolValue(n, key, &prev.capture)
		case "capture_duration":
			err = r.captureDuration(n, &prev.captureDuration)
		case "tags":
			prev.tags = nil
			err = r.tags(n, &prev.tags)
		case "exceptions":
			prev.exceptions = nil
			if err = r.exceptions(n, &prev.exceptions, false); err == nil {
				err = r.checkReplaced(prev)
			}
		case "enabled":
			err = r.boolValue(n, key, &prev.enabled)
		case "warn_evttypes":
			err = r.boolValue(n, key, &prev.warnEventTypes)
		case "skip-if-unknown-filter":
			err = r.boolValue(n, key, &prev.skipUnknownFilter)
		}
		if err != nil {
			return err
		}
	}
	r.number()
	return nil
}

// checkReplaced checks exceptions that replace others. Falco itself does not,
// and stumbles over them later.
func (r *reader) checkReplaced(u *rule) error {
	for _, ex := range u.exceptions {
		if !ex.fields.set() {
			return r.invalid(ex.pos, "the exception %s must have a 'fields' property", ex.name)
		}
		if err := r.checkException(r.sources[u.source], ex); err != nil {
			return err
		}
	}
	return nil
}
