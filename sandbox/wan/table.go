// SPDX-License-Identifier: Apache-2.0

package wan

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// table gathers rows of text.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write aligns the columns. Columns in which no row says anything are left out.
func (t *table) write(w io.Writer) error {
	var keep []int
	for i := range t.header {
		if slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" && row[i] != "-" }) {
			keep = append(keep, i)
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{t.header}, t.rows...) {
		var cells []string
		for _, i := range keep {
			cells = append(cells, row[i])
		}
		if _, err := fmt.Fprintln(tw, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// byteCount writes n in the largest decimal unit that leaves at least one digit before the point.
func byteCount(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + "B"
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.95 && unit < len("kMGTPE")-1 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.1f%cB", v, "kMGTPE"[unit])
}

// packets writes a number of packets.
func packets(n uint64) string {
	if n == 1 {
		return "1 packet"
	}
	return strconv.FormatUint(n, 10) + " packets"
}

// dropCount writes a number of drops and, if there are any, their reasons.
func dropCount(d Drops) string {
	var why []string
	for _, r := range []struct {
		name  string
		count uint64
	}{{"loss", d.Loss}, {"queue", d.Queue}, {"blackhole", d.Blackhole}, {"refused", d.Refused}, {"site down", d.SiteDown}, {"no route", d.NoRoute}} {
		if r.count > 0 {
			why = append(why, fmt.Sprintf("%d %s", r.count, r.name))
		}
	}
	if len(why) == 0 {
		return "0"
	}
	return strings.Join(why, ", ")
}

// packetRate writes what was counted in between two samples per second; nothing when there is but one.
func packetRate(now, before *sample, match func(Flow) bool) string {
	if before == nil {
		return ""
	}
	d := now.Counters.Sum(match).sub(before.Counters.Sum(match))
	return strconv.FormatFloat(float64(d.Packets)/now.at.Sub(before.at).Seconds(), 'f', 0, 64)
}

func since(now *sample) string {
	return fmt.Sprintf("Counted since %s (%s).", now.CountedSince.Local().Format("15:04:05"),
		now.at.Sub(now.CountedSince).Round(time.Second))
}
