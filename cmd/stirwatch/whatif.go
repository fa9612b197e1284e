package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

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
			var q agent.WhatIf
			if cmd.Flags().Changed("set-point") {
				q.SetPoint = &setPoint
			}
			var err error
			if q.Inputs, err = inputValues("input", inputs); err != nil {
				return err
			}
			return withAgent(path, func(c agent.Client) error {
				all, err := c.WhatIf(cmd.Context(), q)
				if err != nil {
					return err
				}
				t := newTable(cmd.OutOrStdout())
				for _, o := range all {
					fmt.Fprintf(t, "%s, %s\tas it is\t95 %%\tif\t95 %%\n", o.Output, o.Unit)
					for i, h := range o.Horizon {
						fmt.Fprintf(t, "in %g s\t%s\t%s\n", h, outlook(o.Is, i), outlook(o.If, i))
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

// inputValues reads NAME=VALUE settings of inputs, by name.
func inputValues(flag string, settings []string) (map[string]float64, error) {
	all := make(map[string]float64)
	for _, s := range settings {
		name, text, _ := strings.Cut(s, "=")
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil, coded{fmt.Errorf("--%s %q: write the name of an input of the model, = and a number", flag, s), exitUsage}
		}
		all[strings.TrimSpace(name)] = v
	}
	return all, nil
}

// outlook is what is expected at horizon i, with its interval, as cells of a table; a dash is not known.
func outlook(c agent.Course, i int) string {
	cell := func(v agent.Number) string {
		if math.IsNaN(float64(v)) {
			return "–"
		}
		return strconv.FormatFloat(float64(v), 'f', 1, 64)
	}
	return fmt.Sprintf("%s\t%s to %s", cell(c.Mean[i]), cell(c.Lower[i]), cell(c.Upper[i]))
}
