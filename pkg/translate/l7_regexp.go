// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
)

const (
	// maxRegexp is how many characters Istio's validation lets an expression have.
	maxRegexp = 1024
	// maxProgram bounds what an expression compiles to, in instructions and bounds of their ranges. Istio has Envoy take
	// RE2 programs of up to 32768 instructions; these count higher than RE2's.
	maxProgram = 16384
)

// CheckRegexp says why a regular expression of a rule cannot be used; such a one stands for any text, since the rule answers
// 500 then, and a request that it may have meant must not fall to another rule and its tunnel.
//
// An expression that Envoy does not take would keep it from taking any other change to the routes of the
// gateway. Go's expressions are RE2's, but for what Envoy's has no words for: it reads bytes, not characters, and of
// classes of Unicode only some.
func CheckRegexp(text string) error {
	switch {
	case text == "":
		return errors.New("the regular expression is empty")
	case len(text) > maxRegexp:
		return fmt.Errorf("the regular expression has %d characters; at most %d are possible", len(text), maxRegexp)
	case strings.IndexFunc(text, notPrintable) >= 0:
		return errors.New("the regular expression has characters that are not printable ASCII; write them as \\xHH, byte by byte")
	}
	if _, err := regexp.Compile(text); err != nil {
		return fmt.Errorf("%w; it has to be in RE2 syntax", err)
	}
	parsed, err := syntax.Parse(text, syntax.Perl&^syntax.UnicodeGroups)
	if err != nil || strings.Contains(text, `\x{`) {
		return errors.New(`the regular expression has \p, \P or \x{...}, and is matched with bytes; write [A-Za-z] or \xHH`)
	}
	if size := programSize(parsed); size > maxProgram {
		return fmt.Errorf("the regular expression is too large by its repetitions, %d against at most %d; use * or + in place of large numbers", size, maxProgram)
	}
	return nil
}

func notPrintable(r rune) bool { return r < ' ' || r >= unicode.MaxASCII }

// programSize is what an expression compiles to; see maxProgram.
func programSize(parsed *syntax.Regexp) int {
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return maxProgram + 1
	}
	size := len(program.Inst)
	for _, i := range program.Inst {
		size += len(i.Rune)
	}
	return size
}
