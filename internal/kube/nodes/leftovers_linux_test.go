// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/poll"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/nodes"
	"github.com/falcotest/go-falcotest/internal/procstat"
)

// A machine is what a cluster could leave of itself: what has to do with the
// folder that it has for its temporary files, and what the whole machine has.
type machine struct {
	Processes []string // that run, or have mounted something, below the folder
	Groups    []string // control groups that are named after what is in the folder
	Files     []string // in the folder
	Settings  map[string]string
}

// look looks at the machine. The names are those of folders, in temp, that were
// there.
func look(t testing.TB, temp string, names []string) machine {
	t.Helper()
	m := machine{Settings: map[string]string{}}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		command, _ := os.ReadFile(p + "/cmdline")
		mounts, _ := os.ReadFile(p + "/mountinfo")
		if filepath.Base(p) == fmt.Sprint(os.Getpid()) {
			command = nil
		}
		if strings.Contains(string(command), temp) || strings.Contains(string(mounts), temp) {
			m.Processes = append(m.Processes, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		for _, name := range names {
			if err == nil && e.Name() == name {
				m.Groups = append(m.Groups, path)
			}
		}
		return nil // groups of others come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		m.Files = append(m.Files, e.Name())
	}
	for _, name := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"} {
		value, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		m.Settings[name] = string(value)
	}
	return m
}

// startPod starts a cluster with one node, on which a pod runs, and returns it.
func startPod(ctx context.Context, image string) (*kube.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := kube.Start(ctx, kube.Options{Nodes: true})
	if err != nil {
		return nil, err
	}
	list, err := nodes.Grow(ctx, c, 1)
	if err != nil {
		return c, err
	}
	if err := list[0].Import(ctx, image); err != nil {
		return c, err
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return c, err
	}
	pods := client.CoreV1().Pods("default")
	spec := pod(list[0].Name(), "serve", "127.0.0.1:4000")
	// What a pod mounts, and what it would do to end in time.
	spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}}
	spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	if _, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "server"}, Spec: spec}, metav1.CreateOptions{}); err != nil {
		return c, err
	}
	w, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=server"})
	if err != nil {
		return c, err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if p, ok := e.Object.(*corev1.Pod); ok && p.Status.Phase == corev1.PodRunning {
			return c, nil
		}
	}
	return c, fmt.Errorf("the pod does not run: %w\n%s", context.Cause(ctx), whatHappened(client))
}

// shortTemp is a folder for temporary files in whose path that of a socket fits.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nodes")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestNothingIsLeft(t *testing.T) {
	needNodes(t)
	image := buildImage(t)
	temp := shortTemp(t)
	t.Setenv("TMPDIR", temp)
	before := look(t, temp, nil)
	c, err := startPod(t.Context(), image)
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	if err != nil {
		t.Fatal(err)
	}
	names := look(t, temp, nil).Files
	during := look(t, temp, names)
	if len(during.Processes) < 6 || len(during.Groups) == 0 {
		t.Errorf("while it runs, the test does not see what there is: %+v", during)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, look(t, temp, names)); diff != "" {
		t.Errorf("the machine before (-) and after (+):\n%s", diff)
	}
}

// startAndHang is what TestNothingIsLeftOfTheKilled runs in a process of its own.
func startAndHang() {
	_, err := startPod(context.Background(), os.Getenv("NODES_TEST_HANG"))
	fmt.Println("error:", err)
	select {}
}

func TestMain(m *testing.M) {
	if os.Getenv("NODES_TEST_HANG") != "" {
		startAndHang()
	}
	os.Exit(m.Run())
}

func TestNothingIsLeftOfTheKilled(t *testing.T) {
	needNodes(t)
	image := buildImage(t)
	for _, test := range []struct {
		name string
		all  bool // its processes are killed, too, so that they cannot tidy up
	}{{"the test alone", false}, {"with all that it started", true}} {
		t.Run(test.name, func(t *testing.T) {
			temp := shortTemp(t)
			before := look(t, temp, nil)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "NODES_TEST_HANG="+image, "TMPDIR="+temp)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(out).ReadString('\n')
			names := look(t, temp, nil).Files
			during := look(t, temp, names)
			if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if test.all {
				for _, child := range children(t, cmd.Process.Pid) {
					if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
						t.Error(err)
					}
				}
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if len(during.Processes) < 6 || len(during.Groups) == 0 {
				t.Errorf("while it runs, the test does not see what there is: %+v", during)
			}
			if line != "error: <nil>\n" {
				t.Fatalf("the process says %q", line)
			}
			if test.all {
				if report, err := journal.Recover(temp); err != nil {
					t.Errorf("a later run recovers %v, %v", report, err)
				}
			}
			poll.WaitOn(t, func(poll.LogT) poll.Result {
				if diff := cmp.Diff(before, look(t, temp, names)); diff != "" {
					return poll.Continue("the machine before (-) and after (+):\n%s", diff)
				}
				return poll.Success()
			}, poll.WithTimeout(time.Minute), poll.WithDelay(50*time.Millisecond))
		})
	}
}

// children returns the processes that a process has started.
func children(t testing.TB, parent int) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var list []int
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if st, err := procstat.Parse(data); err == nil && int(st.PPID) == parent {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, pid)
		}
	}
	return list
}
