// SPDX-License-Identifier: Apache-2.0

package image

import "crypto/tls"

// insecureTLS takes any certificate, as the user has asked for.
func insecureTLS(c *tls.Config) *tls.Config {
	if c = c.Clone(); c == nil {
		c = &tls.Config{}
	}
	c.InsecureSkipVerify = true
	return c
}
