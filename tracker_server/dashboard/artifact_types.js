/**
 * The shapes in which the HTTP API tells of artifacts and of the registry. Types only: this module runs no code.
 *
 * @typedef {{project: string, id: string, name: string, state: string, summary: Record<string, number|string>}} RunLink name and
 *   state are "" where the run is not there any more; summary has numbers only, NaN as text
 *
 * @typedef {object} VersionRow
 * @property {string} uid
 * @property {string} project
 * @property {string} name
 * @property {string} type
 * @property {number} number 3 of "v3"
 * @property {string} digest
 * @property {number} size_bytes
 * @property {number} n_files
 * @property {number} n_references
 * @property {string[]} aliases
 * @property {string[]} tags
 * @property {string} description
 * @property {number} created_s
 * @property {string} created_by
 * @property {RunLink|null} logged_by
 * @property {number|null} history_step
 * @property {number|null} expires_s
 * @property {number|null} ttl_days
 * @property {number} n_used_by
 * @property {{model: string, number: number}[]} registered_as
 * @property {boolean} is_deleted
 *
 * @typedef {{run: RunLink, at_s: number, is_output: boolean, used_as: string}} UseRow
 * @typedef {{version: VersionRow, metadata: Record<string, any>, description_html: string, uses: UseRow[], latest_number: number|null}} VersionDetail
 *
 * @typedef {object} Retention
 * @property {number|null} [keep_last]
 * @property {{metric: string, n: number, goal?: 'minimize'|'maximize'}|null} [keep_best]
 * @property {number|null} [ttl_days]
 * @property {string[]} [protected_aliases]
 *
 * @typedef {object} CollectionRow an artifact: all versions of one name
 * @property {string} project
 * @property {string} name
 * @property {string} type
 * @property {string} description
 * @property {string} description_html
 * @property {number} created_s
 * @property {number} updated_s
 * @property {number} n_versions
 * @property {number} size_bytes
 * @property {string[]} aliases
 * @property {VersionRow|null} latest
 * @property {Retention} retention
 *
 * @typedef {{artifacts: CollectionRow[], types: string[], next_place: number|null}} CollectionList
 * @typedef {{versions: VersionRow[], next_place: number|null}} VersionList
 * @typedef {{project: string, n_artifacts: number, n_versions: number, logical_bytes: number, stored_bytes: number}} UsageRow
 *
 * @typedef {{path: string, size_bytes: number, digest: string, reference: string, checksum: string}} FileRow
 * @typedef {{path: string, n_files: number, size_bytes: number}} FolderRow
 * @typedef {{folders: FolderRow[], files: FileRow[], n_files: number, next_place: number|null}} FileList
 * @typedef {object} Preview
 * @property {'text'|'image'|'tensors'|'none'} kind
 * @property {string} text
 * @property {boolean} is_cut
 * @property {string} note
 * @property {{name: string, dtype: string, shape: number[]}[]} tensors
 * @property {number} n_tensors
 * @property {number} n_parameters
 * @property {Record<string, string>} header
 *
 * @typedef {{kind: 'changed'|'moved'|'added'|'removed', old: FileRow|null, new: FileRow|null}} FileChange
 * @typedef {{key: string, old: unknown, new: unknown, is_in_old: boolean, is_in_new: boolean}} ValueChange
 * @typedef {object} VersionDiff
 * @property {VersionRow} old
 * @property {VersionRow} new
 * @property {number} n_changed
 * @property {number} n_moved
 * @property {number} n_added
 * @property {number} n_removed
 * @property {number} n_same
 * @property {number} reused_bytes
 * @property {FileChange[]} changes
 * @property {number|null} next_place
 * @property {ValueChange[]} metadata
 *
 * @typedef {{id: string, run: RunLink|null, version: VersionRow|null}} LineageNode one of the two
 * @typedef {{nodes: LineageNode[], edges: [string, string][], is_complete: boolean}} LineageGraph
 * @typedef {{version: VersionRow, at_s: number, is_output: boolean, used_as: string}} RunArtifact
 *
 * @typedef {object} LinkedRow a version in a registered model
 * @property {string} model
 * @property {number} number
 * @property {string[]} aliases
 * @property {number} linked_s
 * @property {string} linked_by
 * @property {string} why
 * @property {VersionRow} source
 *
 * @typedef {object} ModelRow
 * @property {string} name
 * @property {string} type
 * @property {number} created_s
 * @property {string} created_by
 * @property {number} updated_s
 * @property {number} n_versions
 * @property {Record<string, number>} aliases
 * @property {LinkedRow|null} latest
 * @property {boolean} has_card
 * @typedef {{model: ModelRow, card: string, card_html: string, versions: LinkedRow[]}} ModelDetail
 *
 * @typedef {object} AuditRow
 * @property {number} number
 * @property {number} at_s
 * @property {string} who
 * @property {string} action
 * @property {string} model
 * @property {number|null} version
 * @property {Record<string, any>} detail
 * @property {string} why
 * @property {string} previous_hash
 * @property {string} hash
 */
export {};
