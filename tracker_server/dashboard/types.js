/**
 * The shapes that the HTTP API sends. Types only: this module runs no code.
 *
 * @typedef {'running'|'finished'|'failed'|'crashed'} RunState
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
 * @property {{n_dropped: number, n_damaged: number, is_suspended: boolean}} health
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
 * @property {number|null} exit_code
 * @property {{session: string, writer: string, attempt: number, host: string|null, pid: number|null,
 *   started_s: number, ended_s: number|null, n_rows: number}[]} sessions
 * @property {{journal: string, offset: number, reason: string, n_lost: number|null}[]} damage
 * @property {string} folder
 * @typedef {RunRow & RunDetailPart} RunDetail
 *
 * @typedef {{name: string, n_runs: number, states: Partial<Record<RunState, number>>, updated_s: number}} ProjectRow
 *
 * @typedef {object} MetricRow
 * @property {string} key
 * @property {number} n_runs
 * @property {number} n_points
 * @property {string|null} step_metric
 * @property {string|null} goal
 * @property {boolean} hidden
 *
 * @typedef {'points'|'state'|'config'|'summary'|'new'} ChangeKind
 * @typedef {{project: string, run: string, kinds: ChangeKind[]}} Change
 *
 * @typedef {object} ChartRequest
 * @property {string[]} runs
 * @property {string} metric
 * @property {string} x "step", "relative_time", "wall_time" or "metric:<key>"
 * @property {number|null} x_min
 * @property {number|null} x_max
 * @property {number} n_buckets
 * @property {{kind: 'none'|'ema', weight: number}} smoothing
 *
 * @typedef {object} ChartRun one run on the shared grid; arrays as long as the grid
 * @property {string} id
 * @property {number} n_points
 * @property {number} n_nonfinite
 * @property {number|null} last
 * @property {number|null} min
 * @property {number|null} max
 * @property {{first: Float32Array, last: Float32Array, min: Float32Array, max: Float32Array, mean: Float32Array,
 *   count: Uint32Array, nonfinite: Uint32Array, smooth: Float32Array|null}} cells
 *
 * @typedef {object} ChartData
 * @property {string} xKind
 * @property {string} xLabel
 * @property {boolean} isExact each cell is one distinct x
 * @property {number|null} bucketWidth in units of x
 * @property {Float64Array} x ascending
 * @property {number|null} xMin over all runs asked for, before zoom
 * @property {number|null} xMax
 * @property {{kind: string, weight: number, points?: string}} smoothing
 * @property {ChartRun[]} runs
 */
export {};
