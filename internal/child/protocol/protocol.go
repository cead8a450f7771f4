// SPDX-License-Identifier: Apache-2.0

// Package protocol is what an action's process and the one that started it say to
// each other: JSON, one message a line, over the process's standard input and output,
// so that the same works through a container engine's attach. Both ends use it, so
// that they agree.
//
// It imports internal/journal and internal/marks, and is among what an action's
// process begins with (see package inside). Messages enter, and leave.
package protocol

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/marks"
)

// greeting is how a child's first line starts. What comes before is output of
// the program's initialisation.
const greeting = "falcotest-child/1 "

// maxLine bounds one message.
const maxLine = 64 << 20

// Message is one line of the protocol, in either direction.
type Message struct {
	Type Type `json:"type"`

	Hello   *Hello      `json:"hello,omitempty"`
	Go      *Setup      `json:"go,omitempty"`
	Prepare *Work       `json:"prepare,omitempty"`
	Log     *Record     `json:"log,omitempty"`
	Op      *journal.Op `json:"op,omitempty"`
	ID      string      `json:"id,omitempty"`  // of an operation: in done and ack
	Err     string      `json:"err,omitempty"` // of ack
	PID     int         `json:"pid,omitempty"` // of spawned
	Report  *Report     `json:"report,omitempty"`
	Window  *Window     `json:"window,omitempty"`
}

// Type is what a message says.
type Type string

// The types of messages.

const (
	TypeHello   Type = "hello"   // child: I am at the gate
	TypePrepare Type = "prepare" // parent: get the program ready
	TypeReady   Type = "ready"   // child: it is
	TypeGo      Type = "go"      // parent: run
	TypeLog     Type = "log"     // child: a log entry
	TypeJournal Type = "journal" // child: write this down, I wait
	TypeAck     Type = "ack"     // parent: it is written down, or why not
	TypeDone    Type = "done"    // child: that operation is undone
	TypeSpawned Type = "spawned" // child: I started this process
	TypeWindow  Type = "window"  // child: when which process did what
	TypeStop    Type = "stop"    // parent: clean up now
	TypeExit    Type = "exit"    // parent: all is done, end
	TypeReport  Type = "report"  // child: the action has ended and is cleaned up
)

// Hello is the first thing that a process says.
type Hello struct {
	Hermetic bool   `json:"hermetic"`
	Why      string `json:"why,omitempty"` // why not
}

// Work is what a program is to get ready for.
type Work struct {
	Action   string `json:"action"`
	Program  string `json:"program"`
	Data     []byte `json:"data"`
	LogLevel uint32 `json:"logLevel"`
}

// Setup is what a process is given when its gate opens.
type Setup struct {
	Action    string        `json:"action"`
	Filter    []byte        `json:"filter,omitempty"`
	Marks     marks.Marks   `json:"marks,omitempty"`
	Guard     time.Duration `json:"guard,omitempty"`
	Sleep     time.Duration `json:"sleep,omitempty"`
	KubeFlags []string      `json:"kubeFlags,omitempty"`
	Depth     int           `json:"depth"` // how many processes of SpawnAs are above
	LogLevel  uint32        `json:"logLevel"`
}

// Report is how an action ended.
type Report struct {
	Outcome Outcome   `json:"outcome"`
	Text    string    `json:"text,omitempty"`  // the reason, error or panic
	Stack   string    `json:"stack,omitempty"` // of a panic
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Alone   bool      `json:"alone,omitempty"` // no other process of the tree lived then
	At      string    `json:"at,omitempty"`    // what it was doing when it was stopped
}

// Conn is one end of the protocol. Sending is safe for concurrent use.
type Conn struct {
	mu  sync.Mutex
	out io.Writer
	in  *bufio.Reader
}

// NewConn is one end of the protocol.
func NewConn(in io.Reader, out io.Writer) *Conn {
	return &Conn{in: bufio.NewReader(in), out: out}
}

// Send sends a message.
func (c *Conn) Send(m Message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if m.Type == TypeHello {
		data = append([]byte(greeting), data...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.out.Write(append(data, '\n'))
	return err
}

// Receive waits for a message.
func (c *Conn) Receive() (Message, error) {
	line, err := c.line()
	if err != nil {
		return Message{}, err
	}
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, fmt.Errorf("reading a message %.80q: %w", line, err)
	}
	return m, nil
}

// Greet reads lines until the child's greeting, and returns those before it.
func (c *Conn) Greet() (h Hello, before string, err error) {
	var b strings.Builder
	for {
		line, err := c.line()
		if rest, ok := strings.CutPrefix(string(line), greeting); ok {
			var m Message
			if err := json.Unmarshal([]byte(rest), &m); err != nil || m.Hello == nil {
				return Hello{}, b.String(), fmt.Errorf("reading the child's greeting %.80q: %w", line, err)
			}
			return *m.Hello, b.String(), nil
		}
		if b.Len() < 16<<10 {
			b.Write(line)
		}
		if err != nil {
			return Hello{}, b.String(), err
		}
	}
}

// line reads one line with its end; at the end of the input also a part of one.
func (c *Conn) line() ([]byte, error) {
	var line []byte
	for {
		part, err := c.in.ReadSlice('\n')
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("a message has more than %d bytes", maxLine)
		}
	}
}
