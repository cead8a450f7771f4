// SPDX-License-Identifier: Apache-2.0

package k8saudit

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

// A run is one run of an action.
type run struct {
	h      events.Helper
	action string // its name without the package
	id     string // tells this run from all others
	name   string // the name of what is created, with the id in it
	gone   map[*resource.Info]bool
}

// newRun starts a run of an action.
func newRun(h events.Helper, action string) *run {
	id := config.ID()
	if id == "" {
		id = rand.Text()
	}
	return &run{h: h, action: action, id: id, name: objectName(id), gone: make(map[*resource.Info]bool)}
}

// maxName is how long the name of an object may be that is a DNS label.
const maxName = 63

// objectName makes a valid name for objects from an id. Ids made of small
// letters, digits and dashes appear in it as they are.
func objectName(id string) string {
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

// labelValue makes a valid value of a label.
func labelValue(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(len(s), maxName)], "-_.")
}

func (r *run) userAgent() string { return "falcotest/" + r.id }

// builder returns the helper's builder, for objects of any kind.
func (r *run) builder() *resource.Builder {
	return r.h.ResourceBuilder().Unstructured().TransformRequests(func(q *rest.Request) {
		q.SetHeader("User-Agent", r.userAgent())
		q.Timeout(requestTimeout)
	})
}

// clusterError says what an error means that came before there was any request
// to speak of. Without any settings, some of cli-runtime's ways give an error
// of their own, and others try the API server's historical default, which
// nothing else names.
func clusterError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if strings.Contains(text, "no configuration has been provided") || strings.Contains(text, `"http://localhost:8080/`) {
		return &events.ErrSkipped{Reason: "needs a Kubernetes cluster: name one by KUBECONFIG, or let falcotest start an API server"}
	}
	return err
}

// createFile creates all objects of a file, in their order.
func (r *run) createFile(file string) ([]*resource.Info, error) {
	text, err := manifest(file, r.name)
	if err != nil {
		return nil, err
	}
	return r.create(text, file)
}

// create creates all objects of a text, in their order. If one fails, those
// before it are deleted at once; otherwise they are when the action completes.
func (r *run) create(text, origin string) ([]*resource.Info, error) {
	infos, err := r.builder().Stream(strings.NewReader(text), origin).Flatten().Do().Infos()
	if err != nil {
		return nil, fmt.Errorf("reading the objects of %s: %w", origin, clusterError(err))
	}
	for i, info := range infos {
		if err := r.createOne(info); err != nil {
			return nil, fmt.Errorf("creating %s, object %d of %d of %s: %w%s", describe(info), i+1, len(infos), origin, err, r.undo(infos[:i]))
		}
		r.h.Log().Infof("created %s", describe(info))
	}
	r.cleanUp(infos)
	return infos, nil
}

func describe(info *resource.Info) string {
	s := info.Mapping.Resource.Resource + "/" + info.Name
	if info.Namespaced() {
		s += " in namespace " + info.Namespace
	}
	return s
}

func (r *run) createOne(info *resource.Info) error {
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
	labels[labelRule] = labelValue(r.action)
	labels[labelID] = labelValue(r.id)
	object.SetLabels(labels)
	created, err := resource.NewHelper(info.Client, info.Mapping).WithFieldManager("falcotest").Create(info.Namespace, false, info.Object)
	if err != nil {
		return err
	}
	return info.Refresh(created, true)
}

// undo deletes objects of which a later one failed, and says so.
func (r *run) undo(infos []*resource.Info) string {
	if len(infos) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("; created before it:")
	for i := len(infos) - 1; i >= 0; i-- {
		fmt.Fprintf(&text, " %s, ", describe(infos[i]))
		if err := r.delete(infos[i]); err != nil {
			fmt.Fprintf(&text, "which is still there, because deleting it failed: %v;", err)
		} else {
			text.WriteString("now deleted;")
		}
	}
	return strings.TrimSuffix(text.String(), ";")
}

// cleanUp deletes objects when the action completes, the last created first.
func (r *run) cleanUp(infos []*resource.Info) {
	for _, info := range infos {
		r.h.Cleanup(func() {
			if config.Keep.Get() {
				r.h.Log().Warnf("%s=1: %s is still there, and its label %s=%s", config.Keep.Variable, describe(info), labelID, labelValue(r.id))
				return
			}
			if err := r.delete(info); err != nil {
				r.h.Log().Errorf("deleting %s: %v: its label is %s=%s", describe(info), err, labelID, labelValue(r.id))
			}
		}, "delete "+describe(info))
	}
}

// delete deletes an object, if it is there, and waits until it is gone.
func (r *run) delete(info *resource.Info) error {
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
func (r *run) waitGone(helper *resource.Helper, info *resource.Info) error {
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

// client returns a client of a kind's API, and the namespace to work in.
func (r *run) client(kind string) (resource.RESTClient, string, error) {
	infos, err := r.builder().RequireObject(false).ResourceNames(kind, r.name).Do().Infos()
	if err != nil {
		return nil, "", fmt.Errorf("reaching the cluster: %w", clusterError(err))
	}
	namespace := infos[0].Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return infos[0].Client, namespace, nil
}

// answered drops an error that is the server's answer to a request. Rules look
// at requests, and it has been made.
func answered(err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code > 0 {
		return nil
	}
	return err
}

// config returns how to reach the cluster, with the user's credentials. A
// helper may know; else it is as the environment says.
func (r *run) config() (*rest.Config, error) {
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
		return nil, fmt.Errorf("reaching the cluster: %w", clusterError(err))
	}
	config = rest.CopyConfig(config)
	config.UserAgent = r.userAgent()
	config.Timeout = requestTimeout
	return config, nil
}
