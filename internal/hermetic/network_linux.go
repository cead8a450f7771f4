// SPDX-License-Identifier: Apache-2.0

package hermetic

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// AddAddresses gives the loopback interface of this process's network namespace,
// which must be its own, more addresses, and turns it on. It needs
// CAP_NET_ADMIN there.
func AddAddresses(addresses []Address) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("configuring the network namespace: %w", err)
	}
	defer unix.Close(fd)
	const loopback = 1 // the first interface of a namespace
	up := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(up[4:], loopback)
	binary.NativeEndian.PutUint32(up[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(up[12:], unix.IFF_UP)
	if err := request(fd, unix.RTM_NEWLINK, 0, up); err != nil {
		return fmt.Errorf("turning on the loopback interface: %w", err)
	}
	// Container engines turn IPv6 off where there is no network.
	if slices.ContainsFunc(addresses, func(a Address) bool { return len(a) != 4 }) {
		for _, name := range []string{"all", "lo"} {
			_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("0"), 0) // the addresses tell
		}
	}
	for _, a := range addresses {
		if a.IsLoopback() && len(a) == 4 {
			continue // it is there already
		}
		family, bits := byte(unix.AF_INET), byte(32)
		if len(a) != 4 {
			family, bits = unix.AF_INET6, 128
		}
		msg := []byte{family, bits, unix.IFA_F_NODAD, 0, 0, 0, 0, 0}
		binary.NativeEndian.PutUint32(msg[4:], loopback)
		for _, attr := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
			msg = binary.NativeEndian.AppendUint16(msg, uint16(4+len(a)))
			msg = binary.NativeEndian.AppendUint16(msg, attr)
			msg = append(msg, a...)
		}
		err := request(fd, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, msg)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("giving the loopback interface the address %s: %w", a, err)
		}
	}
	return nil
}

// request sends a netlink message and waits for its acknowledgement.
func request(fd int, kind, flags uint16, body []byte) error {
	msg := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(msg[0:], uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(msg[4:], kind)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	if err := unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink gave no answer to the request")
	}
	if errno := -int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

func joinAddresses(addresses []Address) string {
	parts := make([]string, len(addresses))
	for i, a := range addresses {
		parts[i] = hex.EncodeToString(a)
	}
	return strings.Join(parts, " ")
}

// prepareNetwork makes the network namespace that an ordinary user's process
// was started in what it is to be.
func prepareNetwork(text string) error {
	var addresses []Address
	for part := range strings.FieldsSeq(text) {
		a, err := hex.DecodeString(part)
		if err != nil {
			return err
		}
		addresses = append(addresses, a)
	}
	// A server of the test's may have any port, as a service has.
	_ = os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
	return AddAddresses(addresses)
}
