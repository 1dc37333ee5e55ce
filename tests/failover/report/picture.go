// SPDX-License-Identifier: Apache-2.0

package main

import (
	"image/color"
	"os"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/l7mp/mc-wan/tests/failover/result"
)

const (
	panelWidth  = 16 * vg.Centimeter
	panelHeight = 6 * vg.Centimeter
	// lowest and highest are the ends of the latency axis, in milliseconds; what failed is drawn at the upper one.
	lowest, highest = 1, 10000
)

// shown is a tunnel in the legend.
type shown struct {
	name   string
	colour color.Color
}

// tunnels are in the order of the legend. The last stands for all that are not named.
func tunnels() []shown {
	return []shown{
		{"business", color.RGBA{0x1f, 0x77, 0xb4, 0xff}},
		{"default", color.RGBA{0xff, 0x7f, 0x0e, 0xff}},
		{result.NoTunnel, color.RGBA{0x94, 0x67, 0xbd, 0xff}},
		{result.TunnelName(""), color.RGBA{0x99, 0x99, 0x99, 0xff}},
		{"another", color.RGBA{0x2c, 0xa0, 0x2c, 0xff}},
	}
}

// picture draws a case: a row a protocol, mc-wan to the left and the plain way to the right.
func picture(p result.Played, file string) error {
	columns := [][]result.Cell{p.Ours}
	titles := []string{"mc-wan"}
	if len(p.Plain) > 0 {
		columns, titles = append(columns, p.Plain), append(titles, "plain")
	}
	rows := make([][]*plot.Plot, len(p.Ours))
	for i := range p.Ours {
		for j, cells := range columns {
			panel, err := panelOf(p, cells[i], string(cells[i].Protocol)+", "+titles[j])
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], panel)
		}
	}
	image := vgimg.New(panelWidth*vg.Length(len(columns)), panelHeight*vg.Length(len(rows)))
	tiles := draw.Tiles{Rows: len(rows), Cols: len(columns), PadX: vg.Centimeter / 2, PadY: vg.Centimeter / 2, PadRight: vg.Centimeter / 2, PadTop: vg.Centimeter / 4}
	for i, row := range plot.Align(rows, tiles, draw.New(image)) {
		for j, canvas := range row {
			rows[i][j].Draw(canvas)
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: image}).WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// decades are the marks of the latency axis.
func decades() []plot.Tick {
	var out []plot.Tick
	for v := lowest; v <= highest; v *= 10 {
		out = append(out, plot.Tick{Value: float64(v), Label: strconv.Itoa(v)})
	}
	return out
}

func panelOf(p result.Played, c result.Cell, title string) (*plot.Plot, error) {
	panel := plot.New()
	panel.Title.Text = title
	panel.X.Label.Text, panel.Y.Label.Text = "seconds", "ms"
	panel.X.Min, panel.X.Max = 0, p.End.Seconds()
	panel.Y.Min, panel.Y.Max = lowest, highest
	panel.Y.Scale, panel.Y.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(decades())
	panel.Legend.Top, panel.Legend.Left = false, false
	broken, err := plotter.NewPolygon(plotter.XYs{
		{X: p.Broke.Seconds(), Y: lowest}, {X: p.Healed.Seconds(), Y: lowest},
		{X: p.Healed.Seconds(), Y: highest}, {X: p.Broke.Seconds(), Y: highest},
	})
	if err != nil {
		return nil, err
	}
	broken.Color, broken.LineStyle.Width = color.RGBA{0xee, 0xee, 0xee, 0xff}, 0
	panel.Add(broken)
	for _, t := range tunnels() {
		points := pointsOf(c.Requests, func(r result.Request) bool { return r.Err == "" && tunnelOf(r) == t })
		if err := add(panel, points, t.name, draw.GlyphStyle{Color: t.colour, Radius: vg.Points(1), Shape: draw.CircleGlyph{}}); err != nil {
			return nil, err
		}
	}
	failed := pointsOf(c.Requests, func(r result.Request) bool { return r.Err != "" })
	for i := range failed {
		failed[i].Y = highest * 0.8
	}
	return panel, add(panel, failed, "failed", draw.GlyphStyle{Color: color.RGBA{0xd6, 0x27, 0x28, 0xff}, Radius: vg.Points(3), Shape: draw.CrossGlyph{}})
}

// add draws points, if there are any, and names them.
func add(panel *plot.Plot, points plotter.XYs, name string, style draw.GlyphStyle) error {
	if len(points) == 0 {
		return nil
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	scatter.GlyphStyle = style
	panel.Add(scatter)
	bold := *scatter
	bold.Radius = vg.Points(3)
	panel.Legend.Add(name, &bold)
	return nil
}

// tunnelOf is what a request's tunnel is shown as.
func tunnelOf(r result.Request) shown {
	all, name := tunnels(), result.TunnelName(r.Tunnel)
	if i := slices.IndexFunc(all, func(t shown) bool { return t.name == name }); i >= 0 {
		return all[i]
	}
	return all[len(all)-1]
}

func pointsOf(requests []result.Request, match func(result.Request) bool) plotter.XYs {
	var out plotter.XYs
	for _, r := range requests {
		if match(r) {
			millis := float64(r.Took) / float64(time.Millisecond)
			out = append(out, plotter.XY{X: r.Sent.Seconds(), Y: min(max(millis, lowest), highest)})
		}
	}
	return out
}
