// SPDX-License-Identifier: Apache-2.0

// Package objects makes objects on a Kubernetes cluster for as long as an action
// runs, and makes requests to it, which carry the action's id as what they call
// themselves: "falcotest/" and the id.
//
// Package k8saudit's actions use it, and the tests of files that work on a cluster. It
// imports package events, internal/child and internal/config.
package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
)

// The labels of everything that is created.
const (
	labelPartOf = "app.kubernetes.io/part-of"
	labelRule   = "falcotest.io/rule"
	labelID     = "falcotest.io/id"
)

// requestTimeout bounds each request, so that a server that hangs makes an
// action fail rather than wait.
const requestTimeout = 30 * time.Second

// A Run is one run of an action.
type Run struct {
	h      events.Helper
	action string // its name without the package
	ID     string // tells this run from all others
	Name   string // the name of what is created, with the id in it
	gone   map[*resource.Info]bool
}

// New starts a run of an action.
func New(h events.Helper, action string) *Run {
	id := config.ID()
	if id == "" {
		id = rand.Text()
	}
	return &Run{h: h, action: action, ID: id, Name: ObjectName(id), gone: make(map[*resource.Info]bool)}
}

// maxName is how long the name of an object may be that is a DNS label.
const maxName = 63

// ObjectName makes a valid name for objects from an id. Ids made of small
// letters, digits and dashes appear in it as they are.
func ObjectName(id string) string {
	clean := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			return c
		case 'A' <= c && c <= 'Z':
			return c - 'A' + 'a'
		}
		return '-'
	}, id), "-")
	name := "falcotest-" + clean
	if clean == "" || len(name) > maxName || !strings.EqualFold(clean, id) {
		h := fnv.New64a()
		h.Write([]byte(id))
		sum := fmt.Sprintf("-%016x", h.Sum64())
		name = strings.TrimRight(name[:min(len(name), maxName-len(sum))], "-") + sum
	}
	return name
}

// LabelValue makes a valid value of a label.
func LabelValue(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(len(s), maxName)], "-_.")
}

// UserAgent is what the requests of a run call themselves.
func (r *Run) UserAgent() string { return "falcotest/" + r.ID }

// Builder returns the helper's builder, for objects of any kind.
func (r *Run) Builder() *resource.Builder {
	return r.h.ResourceBuilder().Unstructured().TransformRequests(func(q *rest.Request) {
		q.SetHeader("User-Agent", r.UserAgent())
		q.Timeout(requestTimeout)
	})
}

// ClusterError says what an error means that came before there was any request
// to speak of. Without any settings, some of cli-runtime's ways give an error
// of their own, and others try the API server's historical default, which
// nothing else names.
func ClusterError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if strings.Contains(text, "no configuration has been provided") || strings.Contains(text, `"http://localhost:8080/`) {
		return &events.ErrSkipped{Reason: "needs a Kubernetes cluster: name one by KUBECONFIG, or let falcotest start an API server"}
	}
	return err
}

// Create creates all objects of a text, in their order; ${NAME} in it stands for
// the run's name. If one fails, those before it are deleted at once; otherwise
// they are when the action completes.
func (r *Run) Create(text, origin string) ([]*resource.Info, error) {
	infos, err := r.Builder().Stream(strings.NewReader(r.named(text)), origin).Flatten().Do().Infos()
	if err != nil {
		return nil, fmt.Errorf("reading the objects of %s: %w", origin, ClusterError(err))
	}
	for i, info := range infos {
		if err := r.createOne(info); err != nil {
			return nil, fmt.Errorf("creating %s, object %d of %d of %s: %w%s", Describe(info), i+1, len(infos), origin, err, r.undo(infos[:i]))
		}
		r.h.Log().Infof("created %s", Describe(info))
	}
	r.cleanUp(infos)
	return infos, nil
}

// named puts the run's name in the places that ask for it.
func (r *Run) named(text string) string { return strings.ReplaceAll(text, "${NAME}", r.Name) }

// Describe names an object: its kind, its name and its namespace.
func Describe(info *resource.Info) string {
	s := info.Mapping.Resource.Resource + "/" + info.Name
	if info.Namespaced() {
		s += " in namespace " + info.Namespace
	}
	return s
}

func (r *Run) createOne(info *resource.Info) error {
	if info.Namespaced() && info.Namespace == "" {
		info.Namespace = metav1.NamespaceDefault
	}
	object, err := meta.Accessor(info.Object)
	if err != nil {
		return err
	}
	labels := object.GetLabels()
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[labelPartOf] = "falcotest"
	labels[labelRule] = LabelValue(r.action)
	labels[labelID] = LabelValue(r.ID)
	object.SetLabels(labels)
	created, err := resource.NewHelper(info.Client, info.Mapping).WithFieldManager("falcotest").Create(info.Namespace, false, info.Object)
	if err != nil {
		return err
	}
	return info.Refresh(created, true)
}

// undo deletes objects of which a later one failed, and says so.
func (r *Run) undo(infos []*resource.Info) string {
	if len(infos) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("; created before it:")
	for i := len(infos) - 1; i >= 0; i-- {
		fmt.Fprintf(&text, " %s, ", Describe(infos[i]))
		if err := r.Delete(infos[i]); err != nil {
			fmt.Fprintf(&text, "which is still there, because deleting it failed: %v;", err)
		} else {
			text.WriteString("now deleted;")
		}
	}
	return strings.TrimSuffix(text.String(), ";")
}

// cleanUp deletes objects when the action completes, the last created first.
func (r *Run) cleanUp(infos []*resource.Info) {
	for _, info := range infos {
		r.h.Cleanup(func() {
			if config.Keep.Get() {
				r.h.Log().Warnf("%s=1: %s is still there, and its label %s=%s", config.Keep.Variable, Describe(info), labelID, LabelValue(r.ID))
				return
			}
			if err := r.Delete(info); err != nil {
				r.h.Log().Errorf("deleting %s: %v: its label is %s=%s", Describe(info), err, labelID, LabelValue(r.ID))
			}
		}, "delete "+Describe(info))
	}
}

// Delete deletes an object, if it is there, and waits until it is gone.
func (r *Run) Delete(info *resource.Info) error {
	if r.gone[info] {
		return nil
	}
	helper := resource.NewHelper(info.Client, info.Mapping)
	background := metav1.DeletePropagationBackground
	answer, err := helper.DeleteWithOptions(info.Namespace, info.Name, &metav1.DeleteOptions{
		GracePeriodSeconds: new(int64),
		PropagationPolicy:  &background,
	})
	if err == nil {
		// Of an object that has to wait for others before it is gone, the
		// server's answer says that it is being deleted.
		if object, e := meta.Accessor(answer); e == nil && object.GetDeletionTimestamp() != nil {
			err = r.waitGone(helper, info)
		}
	}
	if err == nil || apierrors.IsNotFound(err) {
		r.gone[info] = true
		return nil
	}
	return err
}

// waitGone waits until an object that is being deleted is gone.
func (r *Run) waitGone(helper *resource.Helper, info *resource.Info) error {
	left, err := helper.Get(info.Namespace, info.Name)
	if err != nil {
		return err
	}
	object, err := meta.Accessor(left)
	if err != nil {
		return err
	}
	w, err := helper.WatchSingle(info.Namespace, info.Name, object.GetResourceVersion())
	if err != nil {
		return fmt.Errorf("waiting for its end: %w", err)
	}
	defer w.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return errors.New("waiting for its end: the watch ended first")
			}
			if e.Type == watch.Deleted {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("it is being deleted, but was still there after %v", requestTimeout)
		}
	}
}

// Client returns a client of a kind's API, and the namespace to work in.
func (r *Run) Client(kind string) (resource.RESTClient, string, error) {
	infos, err := r.Builder().RequireObject(false).ResourceNames(kind, r.Name).Do().Infos()
	if err != nil {
		return nil, "", fmt.Errorf("reaching the cluster: %w", ClusterError(err))
	}
	namespace := infos[0].Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return infos[0].Client, namespace, nil
}

// Answered drops an error that is the server's answer to a request. Rules look
// at requests, and it has been made.
func Answered(err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code > 0 {
		return nil
	}
	return err
}

// Config returns how to reach the cluster, with the user's credentials. A
// helper may know; else it is as the environment says.
func (r *Run) Config() (*rest.Config, error) {
	var (
		config *rest.Config
		err    error
	)
	if h, ok := r.h.(interface{ ToRESTConfig() (*rest.Config, error) }); ok {
		config, err = h.ToRESTConfig()
	} else {
		config, err = genericclioptions.NewConfigFlags(false).ToRESTConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", ClusterError(err))
	}
	config = rest.CopyConfig(config)
	config.UserAgent = r.UserAgent()
	config.Timeout = requestTimeout
	return config, nil
}
