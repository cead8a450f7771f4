// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/serve/servetest"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

var (
	seedFlag = flag.Uint64("adversary.seed", 0, "the seed of the adversary's schedules (default: random)")
	runsFlag = flag.Int("adversary.runs", 1000, "the number of the adversary's schedules over gRPC; a third as many by HTTP and by files")
)

const (
	theRule = "Read sensitive file untrusted"
	host    = "here"
)

// carrier is a way by which an adversary sends alerts.
type carrier interface {
	// send delivers the alerts in this order, in its own bad manner.
	send(r *rand.Rand, alerts []*alert.Alert)
	// harm does what may lose alerts.
	harm(r *rand.Rand)
	close()
}

// TestAdversary plays random schedules of an adverse Falco over each way. In
// none may an action pass that did not cause its alert, and none may be missed
// that did: lost alerts make it inconclusive.
func TestAdversary(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -adversary.seed=%d", seed)
	runs := *runsFlag
	if testing.Short() {
		runs = min(runs, 60)
	}
	for _, way := range []struct {
		name string
		open func(t *testing.T, dir string) (carrier, *outputs.Subscription)
	}{
		{"grpc", openGRPC},
		{"http", openHTTP},
		{"file", openFile},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			tally := map[string]int{}
			var wg sync.WaitGroup
			runs := runs
			if way.name != "grpc" {
				runs = (runs + 2) / 3
			}
			slots := make(chan struct{}, 32)
			for i := range runs {
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					r := rand.New(rand.NewPCG(seed, uint64(i)))
					c, sub := way.open(t, t.TempDir())
					defer c.close()
					defer sub.Close()
					got := schedule(t, r, c, sub, fmt.Sprintf("%s run %d of seed %d", way.name, i, seed))
					mu.Lock()
					defer mu.Unlock()
					for k, n := range got {
						tally[k] += n
					}
				})
			}
			wg.Wait()
			t.Logf("%d runs: %v", runs, tally)
			// The verdicts must not be safe by being void.
			for _, k := range []string{"true detected", "none missed"} {
				if tally[k] == 0 {
					t.Errorf("no verdict was %q", k)
				}
			}
		})
	}
}

// schedule plays one schedule and checks its verdicts.
func schedule(t *testing.T, r *rand.Rand, c carrier, sub *outputs.Subscription, name string) map[string]int {
	tally := map[string]int{}
	harmful := r.IntN(10) < 3
	alone := r.IntN(4) == 0
	n := 1
	if !alone {
		n += r.IntN(6)
	}
	var sentinelMu sync.Mutex
	// The sentinel is judged after all that came before it.
	sentinel := func(_ context.Context, nonce string) error {
		sentinelMu.Lock()
		defer sentinelMu.Unlock()
		c.send(rand.New(rand.NewPCG(1, 1)), []*alert.Alert{verdict.SentinelAlert(nonce, host)})
		return nil
	}
	j := verdict.New(sub, verdict.Options{
		Hostnames: []string{host},
		Timeout:   time.Minute,
		Grace:     -1,
		Sentinels: map[string]verdict.Sentinel{"syscall": {Trigger: sentinel}},
	})
	type action struct {
		id  string
		pid int
		p   *verdict.Pending
		yes bool // it causes its alert
	}
	var actions []*action
	for range n {
		a := &action{id: newID(r), pid: 1000 + r.IntN(1e6), yes: r.IntN(2) == 0}
		a.p = j.Expect(verdict.Expectation{
			ID:    a.id,
			Rules: func(rule string) bool { return rule == theRule },
			Alone: alone,
		})
		actions = append(actions, a)
	}
	for _, a := range actions {
		a.p.Started(a.pid)
	}
	var alerts []*alert.Alert
	for _, a := range actions {
		for range r.IntN(8) {
			alerts = append(alerts, foreign(r, a.id, a.pid, alone))
		}
		if a.yes {
			x := genuine(r, a.id, a.pid, alone)
			for range 1 + r.IntN(3) {
				alerts = append(alerts, x)
			}
		}
	}
	r.Shuffle(len(alerts), func(i, k int) { alerts[i], alerts[k] = alerts[k], alerts[i] })
	sentinelMu.Lock()
	cut := 0
	if len(alerts) > 0 {
		cut = r.IntN(len(alerts))
	}
	c.send(r, alerts[:cut])
	if harmful {
		c.harm(r)
	}
	c.send(r, alerts[cut:])
	sentinelMu.Unlock()
	for _, a := range actions {
		a.p.Ended()
	}
	for _, a := range actions {
		v, err := a.p.Wait(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kind := map[bool]string{true: "true ", false: "none "}[a.yes]
		tally[kind+v.Outcome.String()]++
		switch {
		case !a.yes && v.Outcome == verdict.Detected:
			t.Errorf("%s: a false pass, by %v: %+v", name, v.Expected.Strength, v.Expected.Alert)
		case a.yes && v.Outcome == verdict.Missed:
			t.Errorf("%s: a true alert was lost unnoticed: %s", name, v.Reason)
		case a.yes && !harmful && v.Outcome != verdict.Detected:
			t.Errorf("%s: a true alert was not detected: %v, %s", name, v.Outcome, v.Reason)
		}
	}
	return tally
}

func newID(r *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := []byte("ft")
	for range 14 {
		b = append(b, letters[r.IntN(len(letters))])
	}
	return string(b)
}

// large is a size, now and then of a megabyte.
func large(r *rand.Rand) int {
	if r.IntN(20) == 0 {
		return 1 << 20
	}
	return 4 << 10
}

// genuine is an alert that the action caused, in one of the forms that tell it.
func genuine(r *rand.Rand, id string, pid int, alone bool) *alert.Alert {
	a := &alert.Alert{
		Time: time.Now(), Rule: theRule, Priority: alert.Warning, Source: "syscall", Hostname: host,
		Output: "a file was read", Fields: map[string]any{"fd.name": "/etc/shadow"},
	}
	forms := 8
	if alone {
		forms = 9
	}
	switch r.IntN(forms) {
	case 0:
		a.Fields["proc.env[FALCOTEST_ID]"] = id
		a.Time = time.Time{}
		a.Priority = 99
	case 1:
		a.Fields["proc.env[FALCOTEST_ID]"] = nil
		a.Fields["proc.aenv[FALCOTEST_ID]"] = id
		a.Hostname = "another-name-of-this-host"
	case 2:
		a.Fields["proc.sid"] = float64(pid)
	case 3:
		a.Fields["proc.apid[3]"] = fmt.Sprint(pid)
		a.Fields["proc.env[FALCOTEST_ID]"] = ""
	case 4:
		a.Fields["proc.pcmdline"] = "test falcotest-action syscall.X " + id
	case 5:
		a.Fields["proc.exepath"] = "/tmp/falcotest-" + id + "/cat"
		a.Fields["fd.name"] = "/tmp/falcotest-" + newID(r) + "/x" // another action's folder
	case 6:
		a.Output = "file=/tmp/" + id + "_x"
		a.Fields = nil
	case 7:
		a.Output = strings.Repeat("x", large(r))
		a.Fields["proc.env[FALCOTEST_ID]"] = id
		a.Hostname = ""
	case 8: // by time
	}
	return a
}

// foreign is an alert that the action did not cause, as like its own as can be.
func foreign(r *rand.Rand, id string, pid int, alone bool) *alert.Alert {
	a := &alert.Alert{
		Time: time.Now(), Rule: theRule, Priority: alert.Warning, Source: "syscall", Hostname: host,
		Output: "a file was read", Fields: map[string]any{"fd.name": "/etc/shadow"},
	}
	switch r.IntN(12) {
	case 0: // another run's
		a.Fields["proc.env[FALCOTEST_ID]"] = newID(r)
		a.Fields["proc.pid"] = float64(pid)
	case 1:
		a.Fields["proc.cmdline"] = "test falcotest-action syscall.X " + newID(r)
		a.Fields["proc.sid"] = float64(pid)
	case 2: // another host's, with the same pid
		a.Hostname = "elsewhere"
		a.Fields["proc.pid"] = float64(pid)
	case 3: // an hour old
		a.Time = a.Time.Add(-time.Hour)
		a.Fields["proc.sid"] = float64(pid)
	case 4: // cut off
		a.Fields["proc.env[FALCOTEST_ID]"] = id[:10]
	case 5: // nothing known
		a.Time, a.Hostname, a.Fields = time.Time{}, "", nil
	case 6: // everything null
		a.Hostname = ""
		a.Fields = map[string]any{"proc.env[FALCOTEST_ID]": nil, "proc.pid": nil, "proc.cmdline": nil}
	case 7: // large
		a.Output = strings.Repeat(newID(r)+" ", large(r)/16)
	case 8: // the id, and another rule
		a.Rule = "Another rule"
		a.Fields["proc.env[FALCOTEST_ID]"] = id
	case 9: // ids of two actions
		a.Output = "file=/tmp/" + newID(r) + " and /tmp/" + newID(r)
	case 10: // another run's sentinel
		return verdict.SentinelAlert("abcdefghijklmnopqrstuvwxyz", host)
	case 11:
		if alone || r.IntN(4) > 0 {
			a.Rule = "Another rule"
		}
		// Else an alert of this host, of this time, that could be anyone's.
	}
	return a
}

type grpcCarrier struct {
	s *servetest.Server
}

func openGRPC(t *testing.T, dir string) (carrier, *outputs.Subscription) {
	s, err := servetest.Start("unix", filepath.Join(dir, "s"), servetest.Options{Version: "0.43.1"})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // what was queued an hour ago
		s.Push(serve.Response(&alert.Alert{Time: time.Now().Add(-time.Hour), Rule: theRule, Hostname: host}))
	}
	return &grpcCarrier{s: s}, open(t, "unix://"+filepath.Join(dir, "s"))
}

func open(t *testing.T, url string) *outputs.Subscription {
	sub, err := outputs.Open(t.Context(), url, outputs.Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func (c *grpcCarrier) send(_ *rand.Rand, alerts []*alert.Alert) {
	for _, a := range alerts {
		c.s.Push(serve.Response(a))
	}
}

func (c *grpcCarrier) harm(r *rand.Rand) {
	switch r.IntN(3) {
	case 0:
		c.s.Reset(0)
	case 1:
		c.s.Reset(1 + r.IntN(5))
	case 2:
		c.s.Restart()
	}
}

func (c *grpcCarrier) close() { c.s.Close() }

func encode(a *alert.Alert) []byte {
	m := map[string]any{
		"rule": a.Rule, "output": a.Output, "priority": a.Priority.String(), "source": a.Source,
		"hostname": a.Hostname, "output_fields": a.Fields, "tags": a.Tags,
	}
	if !a.Time.IsZero() {
		m["time"] = a.Time.UTC().Format(time.RFC3339Nano)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

type httpCarrier struct {
	url    string
	client *http.Client
}

func openHTTP(t *testing.T, _ string) (carrier, *outputs.Subscription) {
	sub := open(t, "http://127.0.0.1:0/")
	return &httpCarrier{url: sub.Address(), client: &http.Client{Transport: &http.Transport{}}}, sub
}

// trickle hides the length of a body, so that it is sent in chunks, and gives
// it piece by piece.
type trickle struct {
	r io.Reader
	n int
}

func (t trickle) Read(b []byte) (int, error) { return t.r.Read(b[:min(len(b), t.n)]) }

func (c *httpCarrier) send(r *rand.Rand, alerts []*alert.Alert) {
	post := func(a *alert.Alert, n int) {
		b := encode(a)
		var body io.Reader = bytes.NewReader(b)
		if n > 0 {
			body = trickle{body, max(n, len(b)/50)}
		}
		res, err := c.client.Post(c.url, "application/json", body)
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
	var wg sync.WaitGroup
	for _, a := range alerts {
		n := r.IntN(40)
		if r.IntN(2) == 0 {
			post(a, n)
		} else { // a connection of its own, at the same time
			wg.Go(func() { post(a, n) })
		}
	}
	wg.Wait()
}

func (c *httpCarrier) harm(r *rand.Rand) {
	bodies := []string{"12:00:00: Warning text, no JSON", `{"rule": "` + theRule, "", "[]", `{"rule":"x"}{"rule":"y"}`, "null"}
	res, err := c.client.Post(c.url, "text/plain", strings.NewReader(bodies[r.IntN(len(bodies))]))
	if err == nil {
		res.Body.Close()
	}
}

func (c *httpCarrier) close() { c.client.CloseIdleConnections() }

type fileCarrier struct {
	path string
	n    int
}

func openFile(t *testing.T, dir string) (carrier, *outputs.Subscription) {
	path := filepath.Join(dir, "falco.json")
	old := encode(&alert.Alert{Time: time.Now(), Rule: theRule, Hostname: host, Output: "before this run"})
	if err := os.WriteFile(path, append(old, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return &fileCarrier{path: path}, open(t, "file://"+path)
}

func (c *fileCarrier) write(b []byte) {
	f, err := os.OpenFile(c.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		panic(err)
	}
}

func (c *fileCarrier) send(r *rand.Rand, alerts []*alert.Alert) {
	for _, a := range alerts {
		b := append(encode(a), '\n')
		cut := r.IntN(len(b))
		c.write(b[:cut])
		c.write(b[cut:])
	}
}

func (c *fileCarrier) harm(r *rand.Rand) {
	switch r.IntN(3) {
	case 0:
		c.write([]byte("not JSON\n"))
	case 1: // cut off, and the rest never comes
		c.write([]byte(`{"rule":"` + theRule + "\n"))
	case 2: // rotated, which loses nothing
		c.n++
		if err := os.Rename(c.path, fmt.Sprintf("%s.%d", c.path, c.n)); err != nil {
			panic(err)
		}
	}
}

func (c *fileCarrier) close() {}

// TestNoise finds the alert that counts among ten thousand of others, from a
// server that has them all queued.
func TestNoise(t *testing.T) {
	c, sub := openGRPC(t, t.TempDir())
	defer c.close()
	defer sub.Close()
	j := verdict.New(sub, verdict.Options{Hostnames: []string{host}, Timeout: time.Minute})
	r := rand.New(rand.NewPCG(1, 2))
	id := newID(r)
	p := j.Expect(verdict.Expectation{ID: id, Rules: func(rule string) bool { return rule == theRule }})
	p.Started(4711)
	var noise []*alert.Alert
	for range 10_000 {
		noise = append(noise, &alert.Alert{
			Time: time.Now(), Rule: theRule, Hostname: host, Source: "syscall",
			Fields: map[string]any{"proc.env[FALCOTEST_ID]": newID(r), "proc.pid": 4712},
		})
	}
	noise[5000] = &alert.Alert{Rule: theRule, Fields: map[string]any{"proc.aenv[FALCOTEST_ID]": id}}
	c.send(r, noise)
	p.Ended()
	v, err := p.Wait(t.Context())
	if err != nil || v.Outcome != verdict.Detected || v.Expected.Strength != correlate.Environment {
		t.Errorf("got %+v, %v; want detected by environment", v, err)
	}
}
