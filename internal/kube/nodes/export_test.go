// SPDX-License-Identifier: Apache-2.0

package nodes

// WriteImage writes an image of one static program to a tar file.
var WriteImage = writeImage
