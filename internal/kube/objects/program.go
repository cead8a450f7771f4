// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
)

// program is the name of the program of package child that does what a test of a
// file does on a cluster.
const program = "cluster"

// given is what the program is given.
type given struct {
	Test string `json:"test"`
	Work *Work  `json:"work"`
}

// Work is what a test does on a Kubernetes cluster. In its texts, ${NAME}
// stands for a name that the run has to itself.
type Work struct {
	Objects  string    `json:"objects,omitempty"` // what is created first, and deleted at the end: YAML or JSON
	Origin   string    `json:"origin,omitempty"`  // where they stand, for errors
	Requests []Request `json:"requests,omitempty"`
}

// Request is one request to the API server.
type Request struct {
	Place       string   `json:"place,omitempty"` // file:line:column, for errors
	Method      string   `json:"method"`
	Path        string   `json:"path"`
	Body        string   `json:"body,omitempty"`
	ContentType string   `json:"contentType,omitempty"`
	User        string   `json:"user,omitempty"` // made for the test; "" for that of the kubeconfig
	Groups      []string `json:"groups,omitempty"`
	Status      int      `json:"status,omitempty"` // that it must be answered with, 0 for any
}

// Needs is a cluster.
func (w *Work) Needs() []events.Need { return []events.Need{events.Cluster} }

// Program returns the program that does it, and what that is given.
func (w *Work) Program(test string) (name string, data []byte, err error) {
	data, err = json.Marshal(given{Test: test, Work: w})
	return program, data, err
}

// Explain tells what it does, a line for each step.
func (w *Work) Explain() (lines []string) {
	if w.Objects != "" {
		lines = append(lines, "creates the objects of "+w.Origin+" on the cluster")
	}
	for _, q := range w.Requests {
		line := "requests " + q.Method + " " + q.Path
		if who := strings.Join(append([]string{q.User}, q.Groups...), ", "); who != "" {
			line += " as " + who
		}
		if q.Status != 0 {
			line += fmt.Sprintf(", which must be answered with %d", q.Status)
		}
		lines = append(lines, line)
	}
	return lines
}

func init() {
	child.RegisterProgram(program, func(_ events.Helper, data []byte) (events.Action, error) {
		var g given
		if err := json.Unmarshal(data, &g); err != nil || g.Work == nil {
			return nil, fmt.Errorf("reading what a test does on a cluster: %w", err)
		}
		return func(h events.Helper) error { return New(h, g.Test).do(g.Work) }, nil
	})
}

// do makes the objects, and then the requests.
func (r *Run) do(work *Work) error {
	if work.Objects != "" {
		if _, err := r.Create(work.Objects, work.Origin); err != nil {
			return err
		}
	}
	users := map[string]*rest.Config{}
	for i := range work.Requests {
		q := &work.Requests[i]
		key := strings.Join(append([]string{q.User}, q.Groups...), "\x00")
		config, err := users[key], error(nil)
		switch {
		case config != nil:
		case q.User == "":
			config, err = r.Config()
		default:
			config, err = r.NewUser(r.named(q.User), q.Groups...)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.Place, err)
		}
		users[key] = config
		if err := r.request(config, q); err != nil {
			return fmt.Errorf("%s: %s %s: %w", q.Place, q.Method, r.named(q.Path), err)
		}
	}
	return nil
}

// request makes a request. Whatever the server answers will do, unless a status
// is asked for: rules look at requests.
func (r *Run) request(config *rest.Config, q *Request) error {
	status, answer, err := r.send(config, q.Method, r.named(q.Path), r.named(q.Body), q.ContentType)
	if err != nil {
		return ClusterError(err)
	}
	r.h.Log().Infof("%s %s: %d", q.Method, r.named(q.Path), status)
	if status == http.StatusCreated && q.Method == http.MethodPost {
		r.remove(r.named(q.Path), answer)
	}
	if q.Status != 0 && status != q.Status {
		return fmt.Errorf("the server answered %d, and must answer %d: %s", status, q.Status, bytes.TrimSpace(answer))
	}
	return nil
}

// remove deletes what a request has created when the action completes.
func (r *Run) remove(path string, answer []byte) {
	var created metav1.PartialObjectMetadata
	if json.Unmarshal(answer, &created) != nil || created.Name == "" || created.UID == "" {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimSuffix(path, "/") + "/" + created.Name
	r.h.Cleanup(func() {
		config, err := r.Config()
		if err == nil {
			var status int
			status, _, err = r.send(config, http.MethodDelete, path, `{"gracePeriodSeconds":0}`, "")
			if err == nil && status >= 300 && status != http.StatusNotFound {
				err = fmt.Errorf("the server answered %d", status)
			}
		}
		if err != nil {
			r.h.Log().Errorf("deleting %s: %v", path, err)
		}
	}, "delete "+path)
}

// maxAnswer bounds what is read of an answer: a watch has no end.
const maxAnswer = 1 << 20

func (r *Run) send(config *rest.Config, method, path, body, contentType string) (status int, answer []byte, err error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base.String(), "/")+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	q.Header.Set("Accept", "application/json")
	if body != "" {
		if contentType == "" {
			contentType = "application/json"
			if method == http.MethodPatch {
				contentType = "application/merge-patch+json"
			}
		}
		q.Header.Set("Content-Type", contentType)
	}
	response, err := client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if strings.Contains(path, "watch=") {
		return response.StatusCode, nil, nil
	}
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, answer, err
}
