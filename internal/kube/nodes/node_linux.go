// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/dynamic"

	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/kube"
	"github.com/falcotest/go-falcotest/internal/kube/process"
)

// Where a node has its own files.
var ownFolders = []string{"/run", "/var/lib", "/var/log"}

const (
	programsAt = "/run/falcotest" // in a node: its programs and their configuration
	socket     = "/run/containerd/containerd.sock"
)

// A Node is a real node of a test cluster. Its methods are safe for concurrent
// use.
type Node struct {
	cluster *kube.Cluster
	client  dynamic.Interface
	tools   tools
	address net.IP
	log     io.Writer

	journal *journal.Dir
	process *process.Process
	groups  []group
	end     sync.Once
	endErr  error
}

// Name returns the node's name in the cluster, which is its address and the name
// of its host as well.
func (n *Node) Name() string { return n.address.String() }

// Path returns where a file of the node's /run, /var/lib or /var/log is for the
// rest of this machine: where a Falco on this node listens, say. Others are the
// same everywhere.
func (n *Node) Path(path string) string {
	for _, dir := range ownFolders {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return filepath.Join(n.journal.Path(), strings.ReplaceAll(dir[1:], "/", "-"), path[len(dir):])
		}
	}
	return path
}

func (n *Node) start(ctx context.Context) (err error) {
	if n.journal, err = journal.CreateForSocket("node-"+rand.Text()[:12], "run/containerd/containerd.sock.ttrpc"); err != nil {
		return err
	}
	for _, dir := range ownFolders {
		if err := os.Mkdir(n.Path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := n.tools.hidden(n.journal.Path()); err != nil {
		return err
	}
	if n.groups, err = makeGroups(n.journal, filepath.Base(n.journal.Path())); err != nil {
		return err
	}
	file, err := n.configure()
	if err != nil {
		return fmt.Errorf("writing its configuration: %w", err)
	}
	says, err := n.startInit(file)
	if err != nil {
		return err
	}
	defer says.Close()
	// Containerd is the only one that says when it listens.
	listens := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(says).ReadString('\n')
		listens <- err
	}()
	select {
	case err := <-listens:
		if err != nil {
			<-n.process.Done
			return n.process.Failure()
		}
	case <-ctx.Done():
		return fmt.Errorf("%w; it said:\n%s", context.Cause(ctx), n.process.Said)
	}
	pause := filepath.Join(n.journal.Path(), "pause.tar")
	if err := n.tools.writeImage(pause); err != nil {
		return fmt.Errorf("making the image %s: %w", Image, err)
	}
	if err := n.Import(ctx, pause); err != nil {
		return err
	}
	return n.waitReady(ctx)
}

// startInit starts the node's first process, and returns what it says on standard
// output.
func (n *Node) startInit(spec string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd := exec.Command(n.tools.init, spec)
	cmd.Dir = "/"
	cmd.Stdout = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	if n.process, err = process.Start("node "+n.Name(), cmd, n.log); err != nil {
		r.Close()
		return nil, err
	}
	start, err := journal.StartOf(n.process.PID)
	if err != nil {
		return r, nil // it has ended, which is noticed
	}
	if err := n.journal.Add(journal.Op{ID: "process", Kind: journal.Kill, PID: n.process.PID, Start: start}); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// configure writes the files that the node's programs read, and returns the path
// of what its first process is told.
func (n *Node) configure() (string, error) {
	cert, key, err := n.cluster.Serving(n.address)
	if err != nil {
		return "", err
	}
	user := "system:node:" + n.Name()
	client, err := n.cluster.ConfigOf(user, "system:nodes")
	if err != nil {
		return "", err
	}
	at := n.Path(programsAt)
	if err := os.MkdirAll(filepath.Join(at, "cni", "bin"), 0o755); err != nil {
		return "", err
	}
	if err := kube.WriteKubeconfig(filepath.Join(at, "kubeconfig"), user, client); err != nil {
		return "", err
	}
	kubelet, err := json.MarshalIndent(n.kubelet(), "", "  ")
	if err != nil {
		return "", err
	}
	network := `{"cniVersion": "0.4.0", "name": "falcotest", "plugins": [{"type": "falcotest"}]}`
	for name, content := range map[string][]byte{
		"ca.crt": n.cluster.CA(), "kubelet.crt": cert, "kubelet.key": key, "kubelet.json": kubelet,
		"containerd.toml": []byte(n.containerd()), "cni/falcotest.conflist": []byte(network),
	} {
		if err := os.WriteFile(filepath.Join(at, name), content, 0o600); err != nil {
			return "", err
		}
	}
	s := map[string]any{"Hostname": n.Name(), "Dir": n.journal.Path(), "Groups": n.groups, "Servers": []any{
		map[string]any{
			"Name": "containerd", "Socket": socket,
			"Args": []string{programsAt + "/containerd", "--config=" + programsAt + "/containerd.toml"},
		},
		map[string]any{
			"Name": "kubelet",
			"Args": []string{programsAt + "/kubelet", "kubelet", "--config=" + programsAt + "/kubelet.json", "--kubeconfig=" + programsAt + "/kubeconfig",
				"--hostname-override=" + n.Name(), "--cert-dir=" + programsAt + "/pki", "-v=0"},
		},
	}}
	var binds []map[string]string
	show := func(from, to string) { binds = append(binds, map[string]string{"From": from, "To": to}) }
	for _, p := range []struct{ name, program string }{
		{"containerd", n.tools.containerd}, {"containerd-shim-runc-v2", n.tools.shim}, {"runc", n.tools.runc}, {"kubelet", n.tools.kubelet},
		{"cni/bin/loopback", n.tools.init}, {"cni/bin/falcotest", n.tools.init},
	} {
		file := filepath.Join(at, p.name)
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			return "", err
		}
		show(p.program, file)
	}
	for _, dir := range ownFolders {
		show(n.Path(dir), dir)
	}
	// A kubelet sets these for the whole machine, unless they are as it wants them.
	for _, p := range []struct{ name, value string }{
		{"vm/overcommit_memory", "1"}, {"vm/panic_on_oom", "0"}, {"kernel/panic", "10"}, {"kernel/panic_on_oops", "1"},
		{"kernel/keys/root_maxkeys", "1000000"}, {"kernel/keys/root_maxbytes", "25000000"},
	} {
		file := filepath.Join(n.journal.Path(), strings.ReplaceAll(p.name, "/", "."))
		if err := os.WriteFile(file, []byte(p.value+"\n"), 0o644); err != nil {
			return "", err
		}
		show(file, "/proc/sys/"+p.name)
	}
	s["Binds"] = binds
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(n.journal.Path(), "node.json")
	return file, os.WriteFile(file, data, 0o600)
}

// kubelet is the kubelet's configuration, a KubeletConfiguration.
func (n *Node) kubelet() map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"address":    n.Name(), "port": 10250, "healthzPort": 0,
		"tlsCertFile": programsAt + "/kubelet.crt", "tlsPrivateKeyFile": programsAt + "/kubelet.key",
		"authentication": map[string]any{
			"x509": map[string]any{"clientCAFile": programsAt + "/ca.crt"}, "webhook": map[string]any{"enabled": false}, "anonymous": map[string]any{"enabled": false},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"containerRuntimeEndpoint": "unix://" + socket,
		"resolvConf":               "",
		"failSwapOn":               false,
		"failCgroupV1":             false,
		"cgroupDriver":             "cgroupfs",
		// The control groups of pods are all that there are.
		"cgroupsPerQOS": false, "enforceNodeAllocatable": []string{},
		"makeIPTablesUtilChains":        false,
		"oomScoreAdj":                   0,
		"maxOpenFiles":                  openFiles(),
		"localStorageCapacityIsolation": false,
		"volumePluginDir":               "/var/lib/kubelet/plugins",
		// A full disk of a developer's is no reason to evict pods.
		"evictionHard":                map[string]string{"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%", "imagefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent": 100,
		"nodeStatusUpdateFrequency":   "5s",
		"nodeLeaseDurationSeconds":    20,
		// For tests, which make many pods at once.
		"serializeImagePulls": false, "registryPullQPS": 0, "kubeAPIQPS": 100, "kubeAPIBurst": 200, "eventRecordQPS": 0,
		"logging": map[string]any{"verbosity": 0},
	}
}

// openFiles is how many files a process may open.
func openFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return min(limit.Max, 1_000_000)
}

// containerd is containerd's configuration.
func (n *Node) containerd() string {
	return `version = 2
disabled_plugins = [
	"io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]

[debug]
level = "warn"

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "` + Image + `"
disable_apparmor = true
# Where root may not lower a process's score, no pod would start.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "` + n.snapshotter() + `"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "` + programsAt + `/runc"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "` + programsAt + `/cni/bin"
conf_dir = "` + programsAt + `/cni"
`
}

// snapshotter is the one of containerd's that works where the node's files are:
// an overlay cannot be made on an overlay, as in a container.
func (n *Node) snapshotter() string {
	var fs unix.Statfs_t
	if err := unix.Statfs(n.journal.Path(), &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// Import gives the node the images of a tar file: of docker save, or of an OCI
// layout.
func (n *Node) Import(ctx context.Context, tar string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-n.process.Done:
			cancel(n.process.Failure())
		case <-ctx.Done():
		}
	}()
	cmd := exec.CommandContext(ctx, n.tools.ctr, "--address="+n.Path(socket), "--namespace=k8s.io",
		"images", "import", "--snapshotter="+n.snapshotter(), tar)
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		select {
		case <-n.process.Done:
			err = n.process.Failure()
		case <-time.After(time.Second): // that the node has ended may be noticed after this
		}
		return fmt.Errorf("importing %s on node %s: %w\n%s", tar, n.Name(), err, out)
	}
	return nil
}

// Kill ends all that runs on the node at once, as when a machine loses its power.
// The cluster notices within about 20 seconds.
func (n *Node) Kill() error {
	if n.process != nil {
		n.process.Kill()
	}
	return n.stop()
}

// Stop is like Kill, and the cluster need not notice: the node leaves it.
func (n *Node) Stop(ctx context.Context) error {
	return errors.Join(n.stop(), n.leave(ctx))
}

// stop ends all that runs on the node, and removes what it had.
func (n *Node) stop() error {
	n.end.Do(func() {
		var errs []error
		if n.process != nil {
			errs = append(errs, n.process.Stop())
		}
		if n.journal != nil {
			_, err := n.journal.Close()
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			n.endErr = fmt.Errorf("ending node %s: %w", n.Name(), err)
		}
	})
	return n.endErr
}
