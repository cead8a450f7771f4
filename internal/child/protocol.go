// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// greeting is how a child's first line starts. What comes before is output of
// the program's initialisation.
const greeting = "falcotest-child/1 "

// maxLine bounds one message.
const maxLine = 64 << 20

// message is one line of the protocol, in either direction.
type message struct {
	Type messageType `json:"type"`

	Hello *hello     `json:"hello,omitempty"`
	Go    *goMessage `json:"go,omitempty"`

	Prepare *prepareMessage `json:"prepare,omitempty"`
	Log     *Record         `json:"log,omitempty"`
	Op      *journal.Op     `json:"op,omitempty"`
	ID      string          `json:"id,omitempty"`  // of an operation: in done and ack
	Err     string          `json:"err,omitempty"` // of ack
	PID     int             `json:"pid,omitempty"` // of spawned
	Report  *report         `json:"report,omitempty"`
	Window  *Window         `json:"window,omitempty"`
}

type messageType string

const (
	typeHello   messageType = "hello"   // child: I am at the gate
	typePrepare messageType = "prepare" // parent: get the program ready
	typeReady   messageType = "ready"   // child: it is
	typeGo      messageType = "go"      // parent: run
	typeLog     messageType = "log"     // child: a log entry
	typeJournal messageType = "journal" // child: write this down, I wait
	typeAck     messageType = "ack"     // parent: it is written down, or why not
	typeDone    messageType = "done"    // child: that operation is undone
	typeSpawned messageType = "spawned" // child: I started this process
	typeWindow  messageType = "window"  // child: when which process did what
	typeStop    messageType = "stop"    // parent: clean up now
	typeExit    messageType = "exit"    // parent: all is done, end
	typeReport  messageType = "report"  // child: the action has ended and is cleaned up
)

type hello struct {
	Hermetic bool   `json:"hermetic"`
	Why      string `json:"why,omitempty"` // why not
}

type prepareMessage struct {
	Action   string `json:"action"`
	Program  string `json:"program"`
	Data     []byte `json:"data"`
	LogLevel uint32 `json:"logLevel"`
}

type goMessage struct {
	Action    string        `json:"action"`
	Filter    []byte        `json:"filter,omitempty"`
	Marks     trace.Marks   `json:"marks,omitempty"`
	Guard     time.Duration `json:"guard,omitempty"`
	Sleep     time.Duration `json:"sleep,omitempty"`
	KubeFlags []string      `json:"kubeFlags,omitempty"`
	Depth     int           `json:"depth"` // how many processes of SpawnAs are above
	LogLevel  uint32        `json:"logLevel"`
}

type report struct {
	Outcome Outcome   `json:"outcome"`
	Text    string    `json:"text,omitempty"`  // the reason, error or panic
	Stack   string    `json:"stack,omitempty"` // of a panic
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Alone   bool      `json:"alone,omitempty"` // no other process of the tree lived then
}

// conn is one end of the protocol. Sending is safe for concurrent use.
type conn struct {
	mu  sync.Mutex
	out io.Writer
	in  *bufio.Reader
}

func newConn(in io.Reader, out io.Writer) *conn {
	return &conn{in: bufio.NewReader(in), out: out}
}

func (c *conn) send(m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if m.Type == typeHello {
		data = append([]byte(greeting), data...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.out.Write(append(data, '\n'))
	return err
}

func (c *conn) receive() (message, error) {
	line, err := c.line()
	if err != nil {
		return message{}, err
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("reading a message %.80q: %w", line, err)
	}
	return m, nil
}

// greet reads lines until the child's greeting, and returns those before it.
func (c *conn) greet() (h hello, before string, err error) {
	var b strings.Builder
	for {
		line, err := c.line()
		if rest, ok := strings.CutPrefix(string(line), greeting); ok {
			var m message
			if err := json.Unmarshal([]byte(rest), &m); err != nil || m.Hello == nil {
				return hello{}, b.String(), fmt.Errorf("reading the child's greeting %.80q: %w", line, err)
			}
			return *m.Hello, b.String(), nil
		}
		if b.Len() < 16<<10 {
			b.Write(line)
		}
		if err != nil {
			return hello{}, b.String(), err
		}
	}
}

// line reads one line with its end; at the end of the input also a part of one.
func (c *conn) line() ([]byte, error) {
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
