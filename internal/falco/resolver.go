// SPDX-License-Identifier: Apache-2.0

package falco

import (
	"context"
	"errors"
	"net"
	"time"
)

// answerWithin is how long a name server may take to answer at all.
const answerWithin = time.Second

// unanswered tells whether no name server answers here. Falco asks for the names
// in conditions such as fd.sip.name while it loads rules and while it evaluates
// them, and stands still for as long: by default 10 s for each name.
func unanswered(ctx context.Context, r *net.Resolver) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	_, err := r.LookupNS(ctx, ".") // which every name server knows
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsTimeout
}

// giveUp has glibc's resolver ask no name server at all: what is not in /etc/hosts
// has no address, at once. One attempt would take a second for each of two families
// of addresses. (resolv.conf(5) tells of RES_OPTIONS; that 0 attempts are as many
// is in __res_context_send of glibc's resolv/res_send.c.)
const giveUp = "RES_OPTIONS=attempts:0"
