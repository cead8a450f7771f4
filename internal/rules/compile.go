// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// maxNodesOfCondition bounds how large a condition may be once its macros are
// resolved: macros that name macros can double with each step.
const maxNodesOfCondition = 100_000

var errNoField = errors.New("it is not a field")

// parse puts lists into a condition and parses it. It returns nil when that
// fails, after noting why.
func (l *loader) parse(cond *filter.Text, item string, c *condition) (*filter.Expr, int) {
	text, err := l.putLists(cond, c)
	if err != nil {
		l.errs = append(l.errs, l.problem(ErrCompileCondition, cond.Pos(0), item, err.Error()))
		return nil, 0
	}
	e, err := filter.Parse(text)
	if err != nil {
		l.errs = append(l.errs, l.conditionProblem(ErrCompileCondition, item, err))
		return nil, 0
	}
	l.warnOfListNames(e, item)
	return e, 1
}

// warnOfListNames notes names of lists that Falco leaves in a condition, as
// values that mean nothing but themselves.
func (l *loader) warnOfListNames(e *filter.Expr, item string) {
	e.Walk(func(e *filter.Expr) bool {
		if e.Kind != filter.Check || e.Right == nil || !e.Right.Const {
			return true
		}
		for i, v := range e.Right.Values {
			pos := e.Right.ValuePos(i)
			if l.listByName[v] == nil {
				l.warnOfNoList(e, i, item)
				continue
			}
			if pos.In == "list "+v {
				continue
			}
			p := l.remark(pos, "the list %s is not put in here, its name stands for itself", v)
			p.Item = item
			p.hint("Falco resolves lists in lists one step deep, in the order of the files: name %s in the condition", v)
		}
		return true
	})
}

// warnOfNoList notes a word among the values of a check that reads like the name of
// a list, where there is but one of a name that is like it: to Falco it is a value
// like others.
func (l *loader) warnOfNoList(e *filter.Expr, i int, item string) {
	v := e.Right.Values[i]
	if !e.Right.List || e.Right.ValuePos(i).In != "" || !e.Right.IsWord(i) || !filter.IsIdentifier(v) || len(v) < 4 {
		return
	}
	if len(e.Right.Values) > 1 && !strings.Contains(v, "_") {
		return
	}
	near := l.nearestList(v)
	if near == "" {
		return
	}
	p := l.remark(e.Right.ValuePos(i), "there is no list %s, the word stands for itself", v)
	p.Item = item
	p.hint("did you mean the list %s? If the word is meant, put it into quotes", near)
}

// conditionProblem turns an error of a condition into a problem.
func (l *loader) conditionProblem(code Code, item string, err error) *Problem {
	var fe *filter.Error
	if !errors.As(err, &fe) {
		return &Problem{Code: code, Item: item, Msg: err.Error()}
	}
	p := l.problem(code, fe.Pos, item, fe.Msg)
	p.Hint = fe.Hint
	return p
}

// resolver puts the bodies of macros in place of their names, in one condition.
type resolver struct {
	*loader
	item       string
	visibility int
	cond       *condition
	failed     bool
}

const allVisible = int(^uint(0) >> 1)

// resolve returns e with all macros resolved, and how many nodes it then has;
// nil when that fails, after noting why. path holds the macros that it is in.
func (rs *resolver) resolve(e *filter.Expr, path []*macro) (*filter.Expr, int) {
	e, size := rs.node(e, path)
	if rs.failed {
		return nil, 0
	}
	return e, size
}

func (rs *resolver) fail(e *filter.Expr, hint, format string, args ...any) (*filter.Expr, int) {
	if !rs.failed { // one error for each condition, as Falco
		p := rs.problem(ErrValidate, e.Pos(), rs.item, fmt.Sprintf(format, args...))
		p.Hint, p.macro = hint, e.Name
		rs.errs = append(rs.errs, p)
	}
	rs.failed = true
	return e, 0
}

func (rs *resolver) node(e *filter.Expr, path []*macro) (*filter.Expr, int) {
	if rs.failed || e.Kind == filter.Check {
		return e, 1
	}
	if e.Kind == filter.Macro {
		return rs.macro(e, path)
	}
	out := *e
	out.Children = make([]*filter.Expr, len(e.Children))
	size := 1
	for i, c := range e.Children {
		var n int
		out.Children[i], n = rs.node(c, path)
		if size += n; size > maxNodesOfCondition {
			return rs.fail(e, "do macros name each other again and again?", "the condition has more than %d parts once its macros are resolved", maxNodesOfCondition)
		}
	}
	return &out, size
}

func (rs *resolver) macro(e *filter.Expr, path []*macro) (*filter.Expr, int) {
	m := rs.macroByName[e.Name]
	switch {
	case m == nil:
		var names []string
		for _, m := range rs.macros {
			names = append(names, m.name)
		}
		hint := "define it before it is used"
		if file := upstreamMacros[e.Name]; file != "" {
			hint = file + " of the upstream rules (falcosecurity/rules) defines it: load that file before this one"
		} else if near := spelling.Nearest(e.Name, names); near != "" {
			hint = "did you mean " + near + "?"
		} else if rs.listByName[e.Name] != nil {
			hint = "it is a list"
		}
		return rs.fail(e, hint, "undefined macro '%s' used in the condition", e.Name)
	case m.index >= rs.visibility:
		hint := "macros see only those before them in the files: it is defined at " + m.pos.String()
		if "macro "+fmt.Sprintf("%q", m.name) == rs.item {
			hint = "a macro cannot name itself"
		}
		return rs.fail(e, hint, "undefined macro '%s' used in the condition", e.Name)
	case slices.Contains(path, m):
		return rs.fail(e, "a macro cannot name itself, nor one that names it", "reference loop in macro '%s'", e.Name)
	case m.expr == nil: // broken, and reported as such
		rs.failed = true
		return e, 0
	}
	rs.cond.macros = append(rs.cond.macros, m)
	body, size := m.expr, m.size
	if !m.resolved {
		body, size = rs.node(m.expr, append(path, m))
	}
	out := *e
	out.Children = []*filter.Expr{body}
	return &out, size
}

// compileRule compiles a rule. It returns nil when it must be left out, after
// noting why.
func (l *loader) compileRule(u *rule, c *filter.Compiler) *Rule {
	item := itemName("rule", u.name)
	src := l.sources[u.source]
	r := &Rule{
		Name: u.name, Desc: u.desc, Output: u.output, Priority: u.priority, Source: u.source, Tags: u.tags,
		Enabled: u.enabled, Capture: u.capture, CaptureDuration: u.captureDuration,
		Condition: u.cond.String(), Pos: u.pos, OutputPos: u.outputPos,
	}
	for _, ex := range u.exceptions {
		r.Exceptions = append(r.Exceptions, ex.public())
	}

	text, err := u.withExceptions()
	if err != nil {
		pos := u.pos
		var ee *exceptionError
		if errors.As(err, &ee) {
			pos = ee.pos
			pos.In = ee.ex.pos.In
		}
		l.errs = append(l.errs, l.problem(ErrValidate, pos, item, err.Error()))
		return nil
	}
	l.remember(u, text)
	if !l.compileOutput(u, r, src, item) {
		return nil
	}
	e, _ := l.parse(text, item, &u.condition)
	if e == nil {
		return nil
	}
	l.direct(u, e, r)
	rs := resolver{loader: l, item: item, visibility: allVisible, cond: &u.condition}
	if r.Expr, _ = rs.resolve(e, nil); r.Expr == nil {
		return nil
	}
	l.warnOfCondition(u, r.Expr, item)
	res, err := c.Add(r.Expr)
	if err != nil {
		var fe *filter.Error
		if errors.As(err, &fe) && fe.UnknownField && u.skipUnknownFilter {
			l.warnings = append(l.warnings, l.conditionProblem(UnknownFilter, item, err).hint("the rule is left out: it has skip-if-unknown-filter"))
			return nil
		}
		l.errs = append(l.errs, l.conditionProblem(ErrCompileCondition, item, err))
		return nil
	}
	r.Cond, r.Unsupported = res.Cond, res.Unsupported
	for _, w := range res.Warnings {
		l.warnings = append(l.warnings, l.conditionProblem(CompileCondition, item, w))
	}
	for _, w := range res.Remarks {
		l.remarks = append(l.remarks, l.conditionProblem(Remark, item, w))
	}
	for _, p := range r.Format {
		if p.Field != nil && p.Field.Unsupported != "" {
			why := p.Operand.Name() + ": " + p.Field.Unsupported
			if !slices.Contains(r.UnsupportedOutput, why) {
				r.UnsupportedOutput = append(r.UnsupportedOutput, why)
			}
		}
	}
	if _, typed := src.(filter.EventTyper); typed {
		if err := filter.CheckEventTypes(r.Expr); err != nil {
			l.errs = append(l.errs, l.conditionProblem(ErrCompileCondition, item, err))
			return nil
		}
	}
	r.EventTypes = filter.EventTypes(r.Expr)
	l.remarkOfUnwatched(r, item)
	if u.warnEventTypes && tooManyTypes(src, r) {
		l.warnings = append(l.warnings, l.problem(NoEventType, u.pos, item, "the rule matches too many evt.type values, which costs much time").
			hint("add a check of evt.type to the condition, e.g. evt.type in (open, openat, openat2)"))
	}
	r.Fields, r.Operators = fieldsAndOperators(r.Expr)
	return r
}

// tooManyTypes tells whether Falco finds that a rule matches too many types of
// events, or none.
func tooManyTypes(src filter.Source, r *Rule) bool {
	const most = 100
	if _, typed := src.(filter.EventTyper); !typed {
		return false
	}
	if c, ok := src.(filter.EventCounter); ok {
		n := c.CountEvents(filter.EventKinds(r.Expr, c.EventKind))
		return n == 0 || n > most
	}
	return r.EventTypes.Unbounded() || len(r.EventTypes.Listed()) == 0
}

// compileOutput parses the rule's output, and tells whether to go on.
func (l *loader) compileOutput(u *rule, r *Rule, src filter.Source, item string) bool {
	format := u.output
	if strings.Contains(format, containerInfo) {
		l.warnings = append(l.warnings, l.problem(DeprecatedItem, u.outputPos, item, "%container.info is deprecated and stands for nothing").
			hint("Falco adds the container's fields to outputs by itself; leave it out"))
		format = strings.ReplaceAll(format, containerInfo, "")
	}
	var err error
	if r.Format, err = filter.ParseFormat(src, format); err != nil {
		var unknown *filter.UnknownFieldError
		if u.skipUnknownFilter && errors.As(err, &unknown) {
			l.warnings = append(l.warnings, l.problem(UnknownFilter, u.outputPos, item, err.Error()).hint("the rule is left out: it has skip-if-unknown-filter"))
		} else {
			l.errs = append(l.errs, l.problem(ErrCompileOutput, u.outputPos, item, err.Error()))
		}
		return false
	}
	for _, f := range deprecatedFields {
		if strings.Contains(format, f.name) {
			l.warnings = append(l.warnings, l.problem(DeprecatedItem, u.outputPos, item, "the output uses the deprecated field "+f.name).hint("%s", f.hint))
			break
		}
	}
	return true
}

// containerInfo is a placeholder of old rules, which Falco takes out of outputs.
const containerInfo = "%container.info"

// CompiledOutput is the rule's output as Falco formats it: without what is
// obsolete, and with the formats that the configuration or plugins add.
func (r *Rule) CompiledOutput(extra ...string) string {
	out := r.Output
	for _, e := range extra {
		out += " " + e
	}
	return strings.ReplaceAll(out, containerInfo, "")
}

// direct notes the macros and lists that the rule's own condition names.
func (l *loader) direct(u *rule, e *filter.Expr, r *Rule) {
	macros, lists := map[string]bool{}, map[string]bool{}
	// The lists are gone from e. As written, the condition may not parse, where
	// a list stands for more than values; Falco could not describe it then.
	if own, err := filter.Parse(u.cond); err == nil {
		e = own
		e.Walk(func(e *filter.Expr) bool {
			if e.Kind == filter.Check && e.Right != nil && e.Right.List {
				for _, v := range e.Right.Values {
					if l.listByName[v] != nil {
						lists[v] = true
					}
				}
			}
			return true
		})
	}
	e.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Macro {
			macros[e.Name] = true
		}
		return true
	})
	r.Macros = slices.Sorted(maps.Keys(macros))
	r.Lists = slices.Sorted(maps.Keys(lists))
}

// fieldsAndOperators lists what a whole condition uses.
func fieldsAndOperators(e *filter.Expr) (fields, operators []string) {
	fs, ops := map[string]bool{}, map[string]bool{}
	seen := map[*filter.Expr]bool{}
	e.Walk(func(e *filter.Expr) bool {
		switch e.Kind {
		case filter.Macro: // bodies are shared; each needs but one look
			for _, c := range e.Children {
				if seen[c] {
					return false
				}
				seen[c] = true
			}
		case filter.Check:
			ops[string(e.Op)] = true
			add := func(o *filter.Operand) { fs[o.Name()] = true }
			e.Left.Fields(add)
			if e.Right != nil {
				e.Right.Fields(add)
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(fs)), slices.Sorted(maps.Keys(ops))
}

var deprecatedFields = []struct{ name, hint string }{
	{"evt.dir", "there are no enter events any more: 'evt.dir = <' is always true and 'evt.dir = >' never; leave it out"},
	{"evt.latency", latencyHint}, {"evt.latency.s", latencyHint}, {"evt.latency.ns", latencyHint},
	{"evt.latency.human", latencyHint}, {"evt.wait_latency", latencyHint},
}

const latencyHint = "there are no enter events any more, so no event has it"

// unsafeNA tells whether Falco warns of comparing a field with <NA>.
func unsafeNA(field string) bool {
	return strings.HasPrefix(field, "ka.") || strings.HasPrefix(field, "jevt.")
}

// warnOfCondition notes what Falco warns of in a condition.
func (l *loader) warnOfCondition(u *rule, e *filter.Expr, item string) {
	unsafe := false
	deprecated := map[string]bool{}
	seen := map[*filter.Expr]bool{}
	e.Walk(func(e *filter.Expr) bool {
		switch e.Kind {
		case filter.Macro:
			for _, c := range e.Children {
				if seen[c] {
					return false
				}
				seen[c] = true
			}
		case filter.Check:
			e.Left.Fields(func(o *filter.Operand) {
				for _, d := range deprecatedFields {
					if o.Field == d.name && !deprecated[d.name] {
						deprecated[d.name] = true
						l.warnings = append(l.warnings, l.problem(DeprecatedItem, o.Pos(), item, "deprecated field "+d.name).hint("%s", d.hint))
					}
				}
			})
			if !unsafe && e.Right != nil && e.Right.Const && slices.Contains(e.Right.Values, "<NA>") &&
				unsafeNA(e.Left.Innermost().Field) {
				switch e.Op {
				case filter.OpEq, filter.OpEqEq, filter.OpNe, filter.OpIn, filter.OpIntersects, filter.OpPMatch:
					unsafe = true
					l.warnings = append(l.warnings, l.problem(UnsafeNACheck, e.Pos(), item, "comparing "+e.Left.String()+" with <NA> is unsafe: fields without a value make every check false").
						hint("write '%s exists', or 'not %s exists'", e.Left, e.Left))
				}
			}
		}
		return true
	})
}
