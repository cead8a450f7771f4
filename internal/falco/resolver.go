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

// giveUpSoon is what has glibc's resolver ask once, for a second (resolv.conf(5)).
const giveUpSoon = "RES_OPTIONS=timeout:1 attempts:1"
