package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"stirwatch/agent"
)

func whatifCommand() *cobra.Command {
	var path string
	var setPoint float64
	var inputs []string
	c := &cobra.Command{
		Use:   "whatif",
		Short: "Ask the model of the running agent what would come",
		Long: `Whatif asks the running agent for its forecast as things are, and for one with another set-point of
the machine's controller or other inputs from now on. Nothing is commanded. Inputs have the names and
units of the model ('stirwatch equation' prints them), the set-point the unit of its first output.`,
		Example: `  stirwatch whatif --set-point 470
  stirwatch whatif --input "feed velocity=350" --input "path velocity=700"
  stirwatch whatif --set-point 0                         # what a stop would do`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := agent.WhatIf{Inputs: make(map[string]float64)}
			if cmd.Flags().Changed("set-point") {
				q.SetPoint = &setPoint
			}
			for _, in := range inputs {
				name, text, _ := strings.Cut(in, "=")
				v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
				if err != nil {
					return coded{fmt.Errorf("--input %q: write the name of an input of the model, = and a number", in), exitUsage}
				}
				q.Inputs[strings.TrimSpace(name)] = v
			}
			return withAgent(path, func(c agent.Client) error {
				all, err := c.WhatIf(cmd.Context(), q)
				if err != nil {
					return err
				}
				t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, o := range all {
					fmt.Fprintf(t, "%s, %s\tas it is\t95 %%\tif\t95 %%\n", o.Output, o.Unit)
					for i, h := range o.Horizon {
						fmt.Fprintf(t, "in %g s\t%s\t%s to %s\t%s\t%s to %s\n", h, shown(float64(o.Is.Mean[i])), shown(float64(o.Is.Lower[i])), shown(float64(o.Is.Upper[i])),
							shown(float64(o.If.Mean[i])), shown(float64(o.If.Lower[i])), shown(float64(o.If.Upper[i])))
					}
				}
				return t.Flush()
			})
		},
	}
	configFlag(c, &path)
	c.Flags().Float64Var(&setPoint, "set-point", 0, "set-point of the machine's own controller; 0 is off")
	c.Flags().StringArrayVar(&inputs, "input", nil, "NAME=VALUE of an input of the model; repeatable")
	return c
}

func shown(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}
