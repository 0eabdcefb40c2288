/**
 * The shapes that the HTTP API sends. Types only: this module runs no code.
 *
 * @typedef {'running'|'finished'|'failed'|'killed'|'preempted'|'crashed'} RunState
 *
 * @typedef {object} RunRow
 * @property {string} id
 * @property {string} name
 * @property {string} project
 * @property {RunState} state
 * @property {number} created_s
 * @property {number|null} ended_s
 * @property {number} updated_s
 * @property {number} duration_s
 * @property {string|null} group
 * @property {string|null} job_type
 * @property {string[]} tags
 * @property {string|null} notes
 * @property {string|null} host
 * @property {number} n_rows
 * @property {Record<string, any>} config flat, nested keys joined with "."
 * @property {Record<string, any>} summary flat
 * @property {number} attempt
 * @property {number|null} exit_code
 * @property {string} signal the one that ended the run, or ""
 * @property {string} [stopped_by] who asked for the end, and why, or ""
 * @property {RunHealth} health
 *
 * @typedef {object} RunHealth
 * @property {number} n_dropped rows
 * @property {number} n_damaged places of journals
 * @property {boolean} is_suspended rows wait in memory now
 * @property {number} [n_suspensions] only on the run's own page, as all below
 * @property {number} [suspended_s]
 * @property {number} [n_clock_jumps]
 * @property {{at_s: number, jumped_s: number}[]} [clock_jumps]
 * @property {number} [n_console_left_out] lines
 * @property {number} [n_unknown] records
 *
 * @typedef {object} RunMetric
 * @property {string} key
 * @property {number} n_points
 * @property {number|string|null} first
 * @property {number|string|null} last
 * @property {number|string|null} min
 * @property {number|string|null} max
 * @property {number|string|null} mean
 * @property {number} n_nonfinite
 *
 * @typedef {object} RunDetailPart
 * @property {Record<string, any>} config_nested
 * @property {Record<string, any>} summary_nested
 * @property {RunMetric[]} metrics
 * @property {{type: string, message: string, traceback: string}|null} error
 * @property {{session: string, writer: string, attempt: number, host: string|null, pid: number|null,
 *   started_s: number, ended_s: number|null, n_rows: number}[]} sessions
 * @property {{journal: string, offset: number, reason: string, n_lost: number|null}[]} damage
 * @property {string} folder
 * @property {Environment} environment
 * @property {KeptFile[]} files
 * @property {RunMetric[]} system_metrics
 * @property {string[]} [system_writers] whose machines were looked at
 * @property {{name: string, writer: string, at_s: number}[]} [signals] received and lived on after
 * @property {boolean} [is_preempting] its scheduler has said that it will be stopped
 * @property {StopOrder|null} [stop] somebody asked the run to stop, which it has not done yet
 * @property {RunSync[]} [syncs] of a run that is sent to servers
 * @property {RunWriter[]} [writers] the processes of the shown attempt, the primary one first
 * @property {{project: string, run: string, step: number}|null} [forked_from] the run itself after a rewind
 * @property {{project: string, run: string, name: string, step: number}[]} [forks]
 * @property {{n_lines: number, n_left_out: number, writer: string|null, writers: string[]}} console writer: the one that is usually shown
 * @property {MediaKey[]} [media] keys that it logged media under
 * @property {Alert[]} [alerts] the oldest first
 * @typedef {RunRow & RunDetailPart} RunDetail
 *
 * @typedef {{key: string, kind: string, n_values: number, last_step: number}} MediaKey
 * @typedef {{place: number, step: number, time_s: number, value: any}} MediaValue
 * @typedef {{key: string, n_values: number, first_step: number, last_step: number, values: MediaValue[]}} MediaValues
 * @typedef {'INFO'|'WARN'|'ERROR'} AlertLevel
 * @typedef {{project: string, run: string, run_name: string, at_s: number, step: number, level: AlertLevel, title: string, text: string, writer: string}} Alert
 * @typedef {{alerts: Alert[], n_matching: number, is_complete: boolean}} AlertList
 * @typedef {{name: string, kind: 'number'|'text'|'boolean'|'time'|'media'|'other', type: string}} TableColumn
 * @typedef {{columns: TableColumn[], n_rows: number, n_matching: number, first: number, shown_columns: number[], numbers: number[], rows: any[][]}} TablePage
 * @typedef {{column: number, op: string, value?: string|number|boolean|null}} TableCondition
 *
 * @typedef {{by: string, why: string, at_s: number}} StopOrder
 *
 * @typedef {object} RunSync where the sending of a run to one server stands
 * @property {string} address
 * @property {number} bytes_left
 * @property {'ok'|'waiting'|'refused'|''} state
 * @property {string} message why nothing is sent, or ""
 * @property {boolean} is_sending whether a process sends
 * @property {number|null} contact_s when the server last answered
 *
 * @typedef {object} RunWriter a process of a run
 * @property {string} writer
 * @property {string} host
 * @property {string} node which of the job's machines, or ""
 * @property {RunState} state of the process, not of the run
 * @property {number} last_seen_s
 * @property {number} n_rows
 * @property {number} n_damaged
 * @property {number} n_dropped
 *
 * @typedef {object} Me who looks at the page
 * @property {string} name
 * @property {'read'|'write'|'admin'} scope
 * @property {string|null} project the only one that this is for, or null
 * @property {boolean} has_key signed in with a key
 *
 * @typedef {{name: string, n_runs: number, states: Partial<Record<RunState, number>>, updated_s: number}} ProjectRow
 *
 * @typedef {{path: string, kinds: string[], n_runs: number}} ColumnInfo a key that runs of a project have
 *
 * @typedef {object} RunPage
 * @property {RunRow[]} runs
 * @property {number} n_matching
 * @property {string|null} next_cursor
 *
 * @typedef {{n: number, mean: number|string|null, std: number|string|null, min: number|string|null, max: number|string|null}} GroupValue
 * @typedef {object} RunGroup runs that have the same values at the paths grouped by
 * @property {import('./logic/run_query.js').KeyValue[]} key
 * @property {number} n_runs
 * @property {number} n_running
 * @property {Record<string, GroupValue>} values by path
 *
 * @typedef {object} MetricRow
 * @property {string} key
 * @property {number} n_runs
 * @property {number} n_points
 * @property {string|null} step_metric
 * @property {string|null} goal
 * @property {boolean} hidden
 *
 * @typedef {object} KeptFile
 * @property {string} path
 * @property {number} size_bytes
 * @property {'file'|'code'|'diff'} kind
 * @property {string} digest
 * @property {number} saved_s
 *
 * @typedef {object} Gpu
 * @property {number} index as the process counts them
 * @property {number} [nvml_index]
 * @property {string} [uuid]
 * @property {string} [name]
 * @property {number} [memory_total_bytes]
 * @property {boolean} [is_mig]
 *
 * @typedef {object} Environment what was run, on what; any part may be missing
 * @property {string[]} [command]
 * @property {string} [program]
 * @property {string} [cwd]
 * @property {string} [user]
 * @property {string} [host]
 * @property {{version?: string, implementation?: string, executable?: string}} [python]
 * @property {{name?: string, release?: string, machine?: string, distribution?: string}} [os]
 * @property {{model?: string, n_cores?: number, n_threads?: number, n_usable?: number}} [cpu]
 * @property {number} [memory_bytes]
 * @property {{commit?: string, branch?: string, remote?: string, root?: string, is_dirty?: boolean, n_untracked?: number,
 *   message?: string}} [git]
 * @property {Record<string, string>} [packages]
 * @property {Record<string, string>} [frameworks]
 * @property {Record<string, string>} [cuda]
 * @property {Gpu[]} [gpus]
 * @property {{runtime?: string, image?: string, id?: string}} [container]
 * @property {Record<string, unknown>} [slurm]
 * @property {Record<string, unknown>} [kubernetes]
 * @property {Record<string, unknown>} [pbs]
 * @property {Record<string, unknown>} [lsf]
 * @property {Record<string, unknown>} [grid_engine]
 * @property {Record<string, unknown>} [torchelastic]
 * @property {Record<string, string>} [variables]
 * @property {unknown} [accelerator]
 *
 * @typedef {{number: number, time_s: number, stream: number, text: string, session: string}} LogLine
 * @typedef {{n_lines: number, first: number, n_left_out: number, lines: LogLine[]}} LogWindow
 * @typedef {{n_matches: number, is_complete: boolean, matches: {number: number, text: string}[]}} LogMatches
 *
 * @typedef {'points'|'state'|'config'|'summary'|'new'|'console'|'system'|'environment'|'files'|'stop'|'archived'|'alerts'} ChangeKind
 * @typedef {{project: string, run: string, kinds: ChangeKind[]}} Change
 *
 * @typedef {object} ChartRequest
 * @property {string[]} runs
 * @property {string|null} metric
 * @property {string[]} [metrics] further ones
 * @property {string} x "step", "relative_time", "wall_time" or "metric:<key>"
 * @property {number|null} x_min
 * @property {number|null} x_max
 * @property {number} n_buckets
 * @property {Smoothing} smoothing
 * @property {{name: string, runs: string[]}[]} [groups]
 * @property {string} [writer] whose points; without it those usually shown
 *
 * @typedef {object} Smoothing all but the weight are in units of x
 * @property {string} kind "none" or one of SMOOTH_KINDS
 * @property {number} [weight]
 * @property {number} [half_life]
 * @property {number} [sigma]
 * @property {number} [window]
 * @property {string} [points] of an answer: "raw", or "cells" where means of a run's points were smoothed
 *
 * @typedef {object} ChartRun a metric of one run on the shared grid; arrays as long as the grid
 * @property {string} id
 * @property {string} metric
 * @property {number} n_points
 * @property {number} n_nonfinite
 * @property {number|null} last
 * @property {number|null} min
 * @property {number|null} max
 * @property {{first: Float32Array, last: Float32Array, min: Float32Array, max: Float32Array, mean: Float32Array,
 *   count: Uint32Array, nonfinite: Uint32Array, smooth: Float32Array|null}} cells
 * @property {{low: Float32Array, high: Float32Array, nRuns: number}} [band] of a group: NaN where it has none
 *
 * @typedef {object} ChartGroup runs as one line; arrays as long as the grid
 * @property {string} name
 * @property {string} metric
 * @property {number} n_runs
 * @property {number} n_points
 * @property {{mean: Float32Array, std: Float32Array, sem: Float32Array, min: Float32Array, max: Float32Array,
 *   median: Float32Array, n: Uint32Array, smooth: Float32Array|null}} cells
 *
 * @typedef {object} ChartData
 * @property {string} xKind
 * @property {string} xLabel
 * @property {boolean} isExact each cell is one distinct x
 * @property {number|null} bucketWidth in units of x
 * @property {Float64Array} x ascending
 * @property {number|null} xMin over all runs asked for, before zoom
 * @property {number|null} xMax
 * @property {Smoothing} smoothing
 * @property {number} xError how far points may stand from their true x; 0: not at all
 * @property {ChartRun[]} runs
 * @property {ChartGroup[]} groups
 */
export {};
