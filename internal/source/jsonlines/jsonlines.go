// SPDX-License-Identifier: Apache-2.0

// Package jsonlines is a source of events that only tests use: what an application
// tells, a line of JSON for each event. It shows what a source takes: this folder,
// and an import of it where the sources are listed.
//
// Events come over a TCP connection to the address in the variable [Address], and
// each is answered by a line once it was handled; recordings are files of such lines.
// The package imports internal/source, internal/filter and internal/config.
package jsonlines

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// Name is the name of the source in rules.
const Name = "app"

// Address is the variable that tells actions where to send events to.
const Address = "APP_EVENTS"

// Need is the need of actions that cause such events.
var Need = events.Need{Name: "an application"}

func init() {
	source.Register(source.Source{
		Name: Name, Events: "application's events", Need: Need.Name,
		Fields:      func() filter.Source { return fields{} },
		Correlation: []string{"app.id"}, ID: []string{"app.id"},
		Sentinel:  source.Sentinel{Rule: "Falcotest App Sentinel"},
		Open:      func(*config.Settings) source.Live { return &live{kept: map[string][]any{}} },
		Recording: &source.Recording{Is: func(head []byte) bool { return bytes.HasPrefix(head, []byte(`{"app.`)) }, Read: read},
		Tests:     &testfile.Source{Recorded: true},
	})
}

// An event is the values of the fields that it has.
type event map[string]string

type fields struct{}

func (fields) Name() string { return Name }

// Field resolves a field: any whose name begins with app.
func (fields) Field(name, _ string, hasArg bool) (*filter.Field, error) {
	if hasArg || !bytes.HasPrefix([]byte(name), []byte("app.")) {
		return nil, fmt.Errorf("unknown field %q", name)
	}
	return &filter.Field{Name: name, Type: filter.CharBuf, Get: func(ev any, v *filter.Value) (has bool) {
		v.Str, has = ev.(event)[name]
		return has
	}}, nil
}

func read(_ context.Context, r io.Reader, _ []string, handle func(any)) (n uint64, err error) {
	for lines := bufio.NewScanner(r); lines.Scan(); n++ {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return n, fmt.Errorf("line %d: %w", n+1, err)
		}
		handle(e)
	}
	return n, nil
}

// live listens for the events of a session.
type live struct {
	handle   func(any)
	starting sync.Mutex
	listener net.Listener
	wg       sync.WaitGroup

	mu   sync.Mutex
	kept map[string][]any
}

func (l *live) Judged(handle func(any)) { l.handle = handle }
func (l *live) Forward(string)          {}
func (l *live) Blind() string           { return "an application's events" }

func (l *live) Start(context.Context) (err error) {
	l.starting.Lock()
	defer l.starting.Unlock()
	if l.listener != nil {
		return nil
	}
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("listening for an application's events: %w", err)
	}
	l.wg.Go(func() {
		for {
			c, err := l.listener.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.serve(c) })
		}
	})
	return nil
}

func (l *live) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for lines := bufio.NewScanner(c); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			return
		}
		l.mu.Lock()
		l.kept[e["app.id"]] = append(l.kept[e["app.id"]], e)
		l.handle(e)
		l.mu.Unlock()
		fmt.Fprintln(c)
	}
}

func (l *live) Flags() []string { return nil }

func (l *live) Environ() []string {
	l.starting.Lock()
	defer l.starting.Unlock()
	if l.listener == nil {
		return nil
	}
	return []string{Address + "=" + l.listener.Addr().String()}
}

func (l *live) Keep(id string) func() []any {
	return func() []any {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.kept[id]
	}
}

func (l *live) Unkept() string                        { return "" }
func (l *live) Settle(context.Context, string) error  { return nil }
func (l *live) Trigger(context.Context, string) error { return errors.ErrUnsupported }
func (l *live) Losses() int                           { return 0 }
func (l *live) Trouble(int) string                    { return "" }
func (l *live) Hint() string                          { return "" }
func (l *live) Describe() string                      { return "" }

func (l *live) Close() (err error) {
	l.starting.Lock()
	defer l.starting.Unlock()
	if l.listener != nil {
		err = l.listener.Close()
	}
	l.wg.Wait()
	return err
}
