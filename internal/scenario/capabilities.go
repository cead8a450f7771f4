// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// capabilityNames are those of linux/capability.h, in the order of their bits.
var capabilityNames = strings.Fields(`
	chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
	net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
	sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
	mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`)

// Capabilities are sets of capabilities, a bit for each.
type Capabilities struct {
	Effective, Inheritable, Permitted uint64
	// Required are those of Effective and Permitted that are named singly. Of "all",
	// a machine may lack some.
	Required uint64
}

// AllCapabilities is what all=iep stands for, and the default.
const AllCapabilities = "all=iep"

// ParseCapabilities reads what cap_from_text(3) reads: clauses such as
// "cap_net_admin,cap_chown=ep", "all=iep cap_sys_admin-e".
func ParseCapabilities(text string) (Capabilities, error) {
	var c Capabilities
	named := uint64(0)
	for _, clause := range strings.Fields(text) {
		i := strings.IndexAny(clause, "=+-")
		if i < 0 {
			return c, fmt.Errorf("%q has none of the operators =, + and -", clause)
		}
		set, err := capabilitySet(clause[:i])
		if err != nil {
			return c, err
		}
		if clause[:i] == "" && clause[i] != '=' {
			return c, fmt.Errorf("%q names no capability", clause)
		}
		if name := clause[:i]; name != "" && !strings.EqualFold(name, "all") {
			named |= set
		}
		for rest := clause[i:]; rest != ""; {
			op := rest[0]
			rest = rest[1:]
			n := strings.IndexAny(rest, "=+-")
			if n < 0 {
				n = len(rest)
			}
			flags := rest[:n]
			rest = rest[n:]
			if bad := strings.Trim(flags, "eip"); bad != "" {
				return c, fmt.Errorf("%q is none of the flags e, i and p", bad)
			}
			for flag, to := range map[string]*uint64{"e": &c.Effective, "i": &c.Inheritable, "p": &c.Permitted} {
				given := strings.Contains(flags, flag)
				switch {
				case op == '=' && !given, op == '-' && given:
					*to &^= set
				case given:
					*to |= set
				}
			}
		}
	}
	c.Required = named & (c.Effective | c.Permitted)
	return c, nil
}

func capabilitySet(names string) (set uint64, err error) {
	if names == "" || strings.EqualFold(names, "all") {
		return 1<<len(capabilityNames) - 1, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		bit := slices.Index(capabilityNames, strings.TrimPrefix(strings.ToLower(name), "cap_"))
		if n, err := strconv.ParseUint(name, 10, 6); err == nil { // or its number
			bit = int(n)
		}
		if bit < 0 {
			return 0, fmt.Errorf("there is no capability %q", name)
		}
		set |= 1 << bit
	}
	return set, nil
}
