// Package watch is a multivariate watch for any set of channels, also of processes without an equation:
// numbers in, numbers out, causal. It is trained on a stretch of rows that are called good, and then judges
// row by row whether the channels still behave, alone and together, as they did there.
//
// Channels are scaled robustly and rotated onto the principal directions of the good stretch. There three
// things are judged, each by Hotelling's T² in the leading directions and by Q, the squared prediction error
// weighted by its own variances, in the rest (Jackson and Mudholkar 1979, Technometrics 21, 341, eq. 2.1 and 3.1):
//
//   - the row itself: spikes, dropouts, a relation between channels that is broken;
//   - the level, a running mean that starts anew where the process jumps: shifts and drifts, held as long as
//     they last. How far a level may wander without anything being wrong is told by the Allan variance of the
//     good stretch (Allan 1966, Proc. IEEE 54, 221), so that a machine that slowly warms up is no anomaly;
//   - the change of the level within few rows, also of channels that have no level of their own.
//
// A fourth statistic is the spread of channels and directions from row to row: bursts of noise, a sensor that
// is stuck, a correlation that is lost.
//
// The limit of each is the larger of what theory says for normal data and of a generalised Pareto tail
// fitted to the good stretch (Pickands 1975), at the false-alarm rate asked for.
package watch

import (
	"fmt"
	"math"
)

// Options set how a watch is trained. The zero value is ready for use.
type Options struct {
	FalseAlarms float64 // share of good rows that may score above 1; 0: 0.001
	Memory      int     // rows that a level is averaged over at most; 0: an eighth of the good rows, 4 to 32
	Adapt       float64 // s in which the reference follows a level that is not flagged; 0: never
	On          int     // rows above the limit before a flag; 0: 3
	Off         int     // rows clearly below it before the flag ends; 0: 10
}

func (o *Options) defaults(n int) {
	if o.FalseAlarms == 0 {
		o.FalseAlarms = 0.001
	}
	if o.Memory == 0 {
		o.Memory = min(max(n/8, 4), 32)
	}
	if o.On == 0 {
		o.On = 3
	}
	if o.Off == 0 {
		o.Off = 10
	}
}

// check panics on values that cannot be meant.
func (o *Options) check() {
	if !(o.FalseAlarms > 0 && o.FalseAlarms < 0.5) || o.Memory < 1 || !(o.Adapt >= 0) || o.On < 1 || o.Off < 1 {
		panic(fmt.Sprintf("watch: options out of range: %+v", *o))
	}
}

// Statistic is one of the quantities by which a row is judged.
type Statistic int

// Statistics.
const (
	Row       Statistic = iota // T² of the row
	RowRest                    // Q of the row
	Change                     // of the level within a few rows
	Level                      // T² of the level
	LevelRest                  // Q of the level
	Single                     // the level of the channel furthest off
	Spread                     // from row to row, of the channel or direction furthest off
	Missing                    // a channel without values for longer than in the good stretch
	statistics
)

var statisticNames = [statistics]string{"row", "relation", "change", "level", "level relation", "level of one channel", "spread", "missing"}

func (s Statistic) String() string { return statisticNames[s] }

// Verdict is the result for a row. Its slices are made on first use and then reused.
type Verdict struct {
	Score     float64   // root of the worst statistic over its limit: above 1 is an anomaly if it lasts
	Flag      bool      // it has lasted
	Statistic Statistic // the worst; one of a row only where nothing that lasts is beyond its limit
	Value     float64   // of that statistic
	Limit     float64   // its limit
	Joint     bool      // a Spread is that of a direction: of several channels together
	Still     bool      // a Spread is less than in the good stretch

	// Of rows that are flagged or score above 1, else 0.
	Part      []float64 // by channel, all ≥ 0: what each contributes to Value; they add up to it
	Deviation []float64 // by channel: how far its level is from the reference, in robust standard deviations of the good stretch
}

// Unwatched says why a channel is not watched.
type Unwatched struct {
	Channel int
	Why     string
}

// Fit is a trained watch. It does not change and may be shared.
type Fit struct {
	opt  Options
	step float64 // s between rows

	channels  int
	watched   []int // channels
	unwatched []Unwatched
	rows      int // good rows used
	aside     int // rows of the good stretch that were taken for outliers

	center, scale []float64   // by watched channel
	longest       []int       // by watched channel: rows missing in one piece,
	lacks         []float64   // and the most of its rows that were missing lately;
	stands        []int       // the most rows for which it had the same value
	v             [][]float64 // v[k][j]: direction k, watched channel j
	lambda        []float64   // variance of a row, by direction, falling
	leading       int         // directions that T² is about

	walks        bool  // some level does, or is to be followed
	along, alone space // by direction, and by channel
	limit        [statistics]float64
}

// space holds what is known of a set of series: the directions, or the channels.
type space struct {
	ref      []float64   // reference level
	variance [][]float64 // [rows averaged][series]: of a level about the reference
	walk     []float64   // what it grows by with each row
	gain     []float64   // share of its distance by which the reference follows a level with each row
	change   []float64   // variance of the fast level about the slow one
	step     []float64   // mean half squared step from row to row
	mean     []float64   // of the logarithm of the spread
	sd       []float64
	low      []float64 // spreads between low and high are within one sd
	high     []float64
}

// Watched are the channels that are watched.
func (f *Fit) Watched() []int { return f.watched }

// Unwatched are the others, with the reason.
func (f *Fit) Unwatched() []Unwatched { return f.unwatched }

// Rows is how many good rows were used, and how many of them were set aside as outliers.
func (f *Fit) Rows() (used, aside int) { return f.rows, f.aside }

// Confidence is how likely a flag whose worst score so far is score and that has stood for so many rows is about a
// process that has left its good stretch: a logistic regression over flags of simulated plants, half of them without
// a fault, learned from other plants than those that the tests score.
func Confidence(score float64, rows int) float64 {
	x := confidenceAt + confidenceScore*math.Log(max(score, 1)) + confidenceRows*math.Log(float64(max(rows, 1)))
	return 1 / (1 + math.Exp(-x))
}

const (
	confidenceAt    = -2.6
	confidenceScore = 6.4
	confidenceRows  = 0.22
)
