// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/nodes"
)

// needNodes skips the test where no node can run. In CI no program may be missing.
func needNodes(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes long")
	}
	err := nodes.Available()
	switch {
	case err == nil:
	case os.Getenv("CI") == "" || !errors.Is(err, nodes.ErrMissing):
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// grow starts a cluster with n nodes that have the image of a tar file.
func grow(t testing.TB, n int, tar string) (*kube.Cluster, kubernetes.Interface, []*nodes.Node) {
	t.Helper()
	c, err := kube.Start(context.Background(), kube.Options{Nodes: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	list, err := nodes.Grow(t.Context(), c, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range list {
		if err := node.Import(t.Context(), tar); err != nil {
			t.Fatal(err)
		}
	}
	return c, client, list
}

const image = "falcotest.test/pod:1"

// buildImage makes the image of what the tests' pods run, and returns its file.
func buildImage(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	program, file := filepath.Join(dir, "pod"), filepath.Join(dir, "image.tar")
	cmd := exec.Command("go", "build", "-o", program, "./testdata/pod")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := nodes.WriteImage(file, image, program, []string{"program"}, "/program"); err != nil {
		t.Fatal(err)
	}
	return file
}

// pod is the specification of a pod on a node that runs the tests' program.
func pod(node string, args ...string) corev1.PodSpec {
	return corev1.PodSpec{
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
				Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}}}},
		}}},
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "c", Image: image, ImagePullPolicy: corev1.PullNever, Args: args}},
	}
}

// runJob runs a Job to its end and returns how it ended, and what its pod said.
func runJob(ctx context.Context, client kubernetes.Interface, name string, spec corev1.PodSpec) (batchv1.JobConditionType, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	jobs := client.BatchV1().Jobs("default")
	_, err := jobs.Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{BackoffLimit: new(int32), Template: corev1.PodTemplateSpec{Spec: spec}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", "", err
	}
	w, err := jobs.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return "", "", err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		job, ok := e.Object.(*batchv1.Job)
		if !ok {
			continue
		}
		for _, c := range job.Status.Conditions {
			if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
				log, err := logs(ctx, client, name)
				return c.Type, log, err
			}
		}
	}
	return "", "", fmt.Errorf("job %s did not end: %v\n%s", name, ctx.Err(), whatHappened(client))
}

// whatHappened returns the cluster's events.
func whatHappened(client kubernetes.Interface) string {
	var b strings.Builder
	list, err := client.CoreV1().Events("").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, e := range list.Items {
		fmt.Fprintln(&b, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
	}
	return b.String()
}

// logs returns what the only pod of a Job said.
func logs(ctx context.Context, client kubernetes.Interface, job string) (string, error) {
	pods := client.CoreV1().Pods("default")
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "job-name=" + job})
	if err != nil {
		return "", err
	}
	if len(list.Items) != 1 {
		return "", fmt.Errorf("job %s has %d pods", job, len(list.Items))
	}
	log, err := pods.GetLogs(list.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	return string(log), err
}

// awaitPod watches a pod until f is content.
func awaitPod(t testing.TB, client kubernetes.Interface, name string, f func(*corev1.Pod) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w, err := client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if p, ok := e.Object.(*corev1.Pod); ok && (e.Type == watch.Deleted || f(p)) {
			return
		}
	}
	t.Fatalf("pod %s: %v\n%s", name, ctx.Err(), whatHappened(client))
}

// dial returns what a server says.
func dial(t testing.TB, address string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestNodes(t *testing.T) {
	needNodes(t)
	tar := buildImage(t)
	c, client, list := grow(t, 3, tar)

	t.Run("jobs", func(t *testing.T) {
		for i, node := range list {
			for _, status := range []int{0, 7} {
				for _, hostNetwork := range []bool{true, false} {
					t.Run(fmt.Sprint(i, status, hostNetwork), func(t *testing.T) {
						t.Parallel()
						name := fmt.Sprintf("job-%d-%d-%t", i, status, hostNetwork)
						spec := pod(node.Name(), "exit", fmt.Sprint(status))
						spec.HostNetwork = hostNetwork
						end, log, err := runJob(t.Context(), client, name, spec)
						if err != nil {
							t.Fatal(err)
						}
						if want := map[int]batchv1.JobConditionType{0: batchv1.JobComplete, 7: batchv1.JobFailed}[status]; end != want {
							t.Errorf("the job is %s, want %s", end, want)
						}
						want := "on " + name + "-"
						if hostNetwork {
							want = "on " + node.Name() + "\n"
						}
						if !strings.HasPrefix(log, want) {
							t.Errorf("the pod says %q, want %q", log, want)
						}
					})
				}
			}
		}
	})

	t.Run("a privileged pod with a folder of the node's", func(t *testing.T) {
		at := list[1].Path("/run/falco")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "name"), []byte("this node's\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		privileged := true
		spec := pod(list[1].Name(), "read", "/run/falco/name")
		spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
		spec.HostPID = true
		spec.Volumes = []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run/falco"}}}}
		spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "run", MountPath: "/run/falco"}}
		if end, log, err := runJob(t.Context(), client, "privileged", spec); end != batchv1.JobComplete || log != "this node's\n" || err != nil {
			t.Errorf("the job is %q, %v; its pod says %q", end, err, log)
		}
	})

	t.Run("an image from a registry on loopback", func(t *testing.T) {
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		defer server.Close()
		built, err := tarball.ImageFromPath(tar, nil)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/pulled:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, built); err != nil {
			t.Fatal(err)
		}
		digest, err := built.Digest()
		if err != nil {
			t.Fatal(err)
		}
		spec := pod(list[0].Name(), "exit", "0")
		spec.Containers[0].Image = ref.Context().Digest(digest.String()).String()
		spec.Containers[0].ImagePullPolicy = corev1.PullAlways
		if end, log, err := runJob(t.Context(), client, "pulled", spec); end != batchv1.JobComplete || err != nil {
			t.Errorf("the job is %q, %v; its pod says %q", end, err, log)
		}
	})

	t.Run("exec and port-forward", func(t *testing.T) {
		spec := pod(list[2].Name(), "serve", "127.0.0.1:4000")
		pods := client.CoreV1().Pods("default")
		_, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "server"}, Spec: spec}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		awaitPod(t, client, "server", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
		request := client.CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name("server").SubResource("exec").
			VersionedParams(&corev1.PodExecOptions{Command: []string{"/program", "say", "hello"}, Stdout: true, Stderr: true}, scheme.ParameterCodec)
		executor, err := remotecommand.NewWebSocketExecutor(c.Config(), "GET", request.URL().String())
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}); err != nil {
			t.Fatal(err)
		}
		if stdout.String() != "hello\n" || stderr.String() != "hello\n" {
			t.Errorf("the pod says %q and %q", stdout.String(), stderr.String())
		}

		transport, upgrader, err := spdy.RoundTripperFor(c.Config())
		if err != nil {
			t.Fatal(err)
		}
		forward := client.CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name("server").SubResource("portforward")
		stop, ready := make(chan struct{}), make(chan struct{})
		f, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", forward.URL()), []string{"0:4000"}, stop, ready, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- f.ForwardPorts() }()
		select {
		case <-ready:
		case err := <-done:
			t.Fatal(err)
		}
		ports, err := f.GetPorts()
		if err != nil {
			t.Fatal(err)
		}
		if got := dial(t, fmt.Sprint("127.0.0.1:", ports[0].Local)); got != "server\n" {
			t.Errorf("the pod answers %q", got)
		}
		close(stop)
		if err := <-done; err != nil && !errors.Is(err, portforward.ErrLostConnectionToPod) {
			t.Error(err)
		}
	})

	t.Run("a node that leaves", func(t *testing.T) {
		if err := list[1].Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Nodes().Get(t.Context(), list[1].Name(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("asked for the node, the cluster says %v", err)
		}
	})

	t.Run("a node that is lost", func(t *testing.T) {
		if err := list[0].Kill(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		w, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + list[0].Name()})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		for e := range w.ResultChan() {
			if node, ok := e.Object.(*corev1.Node); ok {
				for _, condition := range node.Status.Conditions {
					if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionUnknown {
						return
					}
				}
			}
		}
		t.Errorf("the cluster has not noticed that the node is lost: %v", ctx.Err())
	})
}

func TestSimulate(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	const count = 50
	c, err := kube.Start(t.Context(), kube.Options{Nodes: true})
	if errors.Is(err, kube.ErrNoNodes) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	err = nodes.Simulate(t.Context(), c, nodes.Simulated{Count: count, Logs: func(w io.Writer, namespace, pod, container string) error {
		_, err := fmt.Fprintln(w, namespace, pod, container)
		return err
	}})
	if errors.Is(err, nodes.ErrNoSimulator) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range count {
		wait.Go(func() {
			name := fmt.Sprint("job-", i)
			end, log, err := runJob(t.Context(), client, name, pod(fmt.Sprintf("simulated-%04d", i+1)))
			if want := "default " + name + "-"; end != batchv1.JobComplete || !strings.HasPrefix(log, want) || err != nil {
				t.Errorf("job %s is %q, %v, and its pod says %q, want %q…", name, end, err, log, want)
			}
		})
	}
	wait.Wait()
}
