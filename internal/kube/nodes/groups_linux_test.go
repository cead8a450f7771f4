// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHierarchies(t *testing.T) {
	for _, test := range []struct {
		name, mounts, own string
		controllers       bool // of version 2
		want              []group
	}{
		{
			"version 2",
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			"0::/user.slice/session-2.scope\n",
			true,
			[]group{{"/sys/fs/cgroup", "cgroup2", "", "/sys/fs/cgroup"}},
		},
		{
			"version 1, and 2 without controllers",
			`30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:8 - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:7 - cgroup2 cgroup2 rw
34 30 0:30 / /mnt/memory rw,nosuid shared:7 - cgroup cgroup rw,memory
`,
			"3:cpu,cpuacct:/jobs/7\n2:name=systemd:/\n1:memory:/jobs\n0::/jobs/7\n",
			false,
			[]group{
				{"/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/jobs/7"},
				{"/sys/fs/cgroup/systemd", "cgroup", "name=systemd,none", "/sys/fs/cgroup/systemd"},
				{"/sys/fs/cgroup/unified", "cgroup2", "", "/sys/fs/cgroup/unified/jobs/7"},
			},
		},
		{
			"a container that sees its own group, and one of another",
			`31 30 0:27 /docker/abc /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids
32 30 0:28 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
`,
			"2:memory:/elsewhere\n1:pids:/docker/abc/inner\n",
			false,
			[]group{
				{"/sys/fs/cgroup/pids", "cgroup", "pids", "/sys/fs/cgroup/pids/inner"},
				{"/sys/fs/cgroup/memory", "cgroup", "memory", "/sys/fs/cgroup/memory"},
			},
		},
		{"nothing", "22 1 254:0 / / rw - ext4 /dev/vda rw\n", "0::/\n", false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := parseHierarchies(test.mounts, test.own, func(string) bool { return test.controllers })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", "")
	err := Available()
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "root") && !strings.Contains(err.Error(), "install containerd and runc") {
		t.Errorf("without programs: %v", err)
	}
}
