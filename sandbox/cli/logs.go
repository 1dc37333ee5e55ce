package cli

import (
	"github.com/spf13/cobra"
)

func newLogs(_ *options) *cobra.Command { return &cobra.Command{Use: "logs"} }
func newStatus(_ *options) *cobra.Command { return &cobra.Command{Use: "status"} }
