// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"fmt"
	"slices"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// explainAgain finds out why a rule did not fire when a real Falco judged: the
// built-in engine watches the action once more. The note says so.
func (s *Session) explainAgain(ctx context.Context, r *Result, sel *plan.Action) {
	w, err := s.watchAgain(ctx, sel)
	if err != nil {
		r.WhyNote = fmt.Sprintf("the built-in engine could not watch the action once more to find out why: %v", err)
		return
	}
	r.why, r.WhyNote = w.why(sel.Rule.Name), "the built-in engine ran the action once more and watched it"
	s.doubtFalco(r, sel, w)
}

// doubtSilence finds out whether a rule did not fire, as is expected, because the
// Falco that judged does not know what it asks for: then it proves nothing.
func (s *Session) doubtSilence(ctx context.Context, r *Result, sel *plan.Action) {
	w, err := s.watchAgain(ctx, sel)
	if err != nil {
		r.Outcome, r.lasting = Inconclusive, true
		r.Reason = fmt.Sprintf("whether this Falco knows what the rule asks for is not known: the built-in engine could not watch the action once more: %v", err)
		return
	}
	r.why = w.why(sel.Rule.Name)
	if s.doubtFalco(r, sel, w); r.Outcome == Silent && r.why.Alerts > 0 {
		r.Outcome, r.lasting = Inconclusive, true
		r.Reason = "the built-in engine ran the action once more, and there the rule did fire: the Falco that judged has other rules or another configuration, or did not see the event"
	}
	if r.Outcome == Silent {
		r.why = nil
	}
}

// doubtFalco makes a miss or a silence inconclusive where it hangs on what the
// Falco that judged does not know. That shows in its alerts, and in what the
// built-in engine saw when it watched.
func (s *Session) doubtFalco(r *Result, sel *plan.Action, w *tracedChild) {
	unknown := falcoUnknown{alerts: r.alerts}
	if !sel.Made() && s.explainer.tracing.here == nil {
		unknown.container = mistakenFor(r.alerts, w.events)
	}
	unknown.compare(w.alerts)
	doubt, err := s.explainer.tracing.engine.Doubt(sel.Rule.Name, w.events, unknown.reason)
	if err != nil || doubt == nil {
		return
	}
	r.Outcome, r.Reason, r.lasting = Inconclusive, doubt.String(), true
	why := *r.why
	why.Alerts, why.Condition = 0, &filter.Explanation{Unknown: 1, Doubt: doubt}
	r.why, r.WhyNote = &why, ""
	if unknown.container != "" {
		r.Hint = "run the tests in a control group whose path does not look like a container's: Falco takes /ANY/NAME for one, but nothing whose name ends in .slice, .scope or .service"
	}
}

func (s *Session) watchAgain(ctx context.Context, sel *plan.Action) (*tracedChild, error) {
	tracing, err := s.explaining()
	if err != nil {
		return nil, err
	}
	return s.watchBy(ctx, tracing, sel)
}

// watchBy runs an action once more, watched.
func (s *Session) watchBy(ctx context.Context, tracing *tracing, sel *plan.Action) (*tracedChild, error) {
	var alerts []*alert.Alert
	var w *tracedChild
	ended, err := s.runner().Run(ctx, &sel.Action, "", func(c *child.Child) (setup child.Setup, err error) {
		if w, err = tracing.watchChild(ctx, c, sel, func(a *alert.Alert) { alerts = append(alerts, a) }); err != nil {
			return setup, err
		}
		return w.setup(), nil
	})
	if err != nil {
		return nil, err
	}
	if ended.Outcome != child.Completed {
		return nil, fmt.Errorf("the action %s this time: %s%v", ended.Outcome, ended.Reason, ended.Err)
	}
	if err := w.err(); err != nil {
		return nil, err
	}
	w.alerts = alerts
	return w, nil
}

// explaining is the built-in engine beside a real Falco.
func (s *Session) explaining() (*tracing, error) {
	s.explainer.once.Do(func() {
		if s.explainer.tracing, s.explainer.err = newTracing(s); s.explainer.err == nil {
			s.explainer.tracing.keep = true
		}
	})
	return s.explainer.tracing, s.explainer.err
}

// explainLive is the engine that explains events that are not traced.
func (s *Session) explainLive() (*engine.Engine, error) {
	t, err := s.explaining()
	if err != nil {
		return nil, err
	}
	return t.engine, nil
}

// toldTypes are the kinds of system calls by which it is said what an action did
// where its rule asks for others: not those that every program makes all the time.
var toldTypes = []event.Type{
	event.SysOpen, event.SysOpenat, event.SysOpenat2, event.SysOpenByHandleAt, event.SysCreat, event.SysTruncate, event.SysFtruncate,
	event.SysUnlink, event.SysUnlinkat, event.SysRename, event.SysRenameat, event.SysRenameat2, event.SysLink, event.SysLinkat,
	event.SysSymlink, event.SysSymlinkat, event.SysMkdir, event.SysMkdirat, event.SysRmdir, event.SysMknod, event.SysMknodat,
	event.SysChmod, event.SysFchmod, event.SysFchmodat, event.SysFchmodat2, event.SysChown, event.SysLchown, event.SysFchown, event.SysFchownat,
	event.SysSetxattr, event.SysFsetxattr, event.SysLsetxattr, event.SysUtimensat, event.SysCopyFileRange, event.SysSendfile,
	event.SysExecve, event.SysExecveat, event.SysPtrace, event.SysKill, event.SysMemfdCreate, event.SysDup2, event.SysDup3,
	event.SysProcessVmReadv, event.SysProcessVmWritev, event.SysPidfdOpen, event.SysPidfdGetfd, event.SysUserfaultfd, event.SysPersonality,
	event.SysSocket, event.SysSocketpair, event.SysBind, event.SysListen, event.SysConnect, event.SysAccept, event.SysAccept4,
	event.SysSendto, event.SysSendmsg, event.SysSendmmsg, event.SysRecvfrom, event.SysRecvmsg,
	event.SysMount, event.SysUmount, event.SysUmount2, event.SysPivotRoot, event.SysChroot, event.SysChdir, event.SysFchdir, event.SysUnshare, event.SysSetns,
	event.SysSetuid, event.SysSetgid, event.SysSetreuid, event.SysSetregid, event.SysSetresuid, event.SysSetresgid, event.SysCapset, event.SysSetsid,
	event.SysBpf, event.SysPerfEventOpen, event.SysInitModule, event.SysFinitModule, event.SysDeleteModule, event.SysKexecLoad,
	event.SysIoUringSetup, event.SysInotifyAddWatch, event.SysFanotifyInit, event.SysSethostname, event.SysSetdomainname, event.SysSettimeofday,
}

// seeAll finds out what an action did that caused no event of a type that its rule
// asks for: calls of other types, which no rule asks for, are not looked at while
// the rules are judged. So it runs the action once more and looks at all.
func (s *Session) seeAll(ctx context.Context, r *Result, sel *plan.Action) {
	if _, err := s.explaining(); err != nil {
		return
	}
	t := &tracing{engine: s.explainer.tracing.engine, types: toldTypes, container: s.containers.Lookup, here: s.explainer.tracing.here, keepAll: true}
	var err error
	if t.program, err = trace.Program(t.types); err != nil {
		return
	}
	w, err := s.watchBy(ctx, t, sel)
	if err != nil {
		return
	}
	count := map[string]int{}
	for _, e := range w.events {
		count[e.(*event.Event).Type.String()]++
	}
	why, condition := *r.why, *r.why.Condition
	condition.Seen = nil
	for _, name := range sortedKeys(count) {
		condition.Seen = append(condition.Seen, filter.TypeCount{Type: name, Count: count[name]})
	}
	slices.SortStableFunc(condition.Seen, func(a, b filter.TypeCount) int { return b.Count - a.Count })
	condition.SeenAll = true
	why.Condition = &condition
	r.why = &why
}
