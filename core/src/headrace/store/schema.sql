CREATE TABLE artifact (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    "key" TEXT,
    type TEXT,
    description TEXT,
    data TEXT,
    metadata_ TEXT,
    flow_run_id BLOB,
    task_run_id BLOB,
    CONSTRAINT pk_artifact PRIMARY KEY (id)
);
CREATE INDEX ix_artifact__flow_run_id ON artifact (flow_run_id) WHERE flow_run_id IS NOT NULL;
CREATE INDEX ix_artifact__key_id ON artifact ("key", id) WHERE "key" IS NOT NULL;
CREATE INDEX ix_artifact__task_run_id ON artifact (task_run_id) WHERE task_run_id IS NOT NULL;
CREATE TABLE automation (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    tags TEXT,
    body TEXT NOT NULL,
    CONSTRAINT pk_automation PRIMARY KEY (id)
);
CREATE INDEX ix_automation__name ON automation (name);
CREATE TABLE automation_related_resource (
    automation_id BLOB NOT NULL,
    resource_id TEXT NOT NULL,
    is_owner BOOLEAN NOT NULL,
    CONSTRAINT pk_automation_related_resource PRIMARY KEY (automation_id, resource_id),
    CONSTRAINT fk_automation_related_resource__automation_id__automation FOREIGN KEY(automation_id) REFERENCES automation (id) ON DELETE CASCADE
);
CREATE INDEX ix_automation_related_resource__resource_id ON automation_related_resource (resource_id);
CREATE TABLE block_document (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    key_id TEXT NOT NULL,
    is_anonymous BOOLEAN NOT NULL,
    block_type_id BLOB NOT NULL,
    block_schema_id BLOB NOT NULL,
    CONSTRAINT pk_block_document PRIMARY KEY (id),
    CONSTRAINT fk_block_document__block_type_id__block_type FOREIGN KEY(block_type_id) REFERENCES block_type (id) ON DELETE CASCADE,
    CONSTRAINT fk_block_document__block_schema_id__block_schema FOREIGN KEY(block_schema_id) REFERENCES block_schema (id) ON DELETE CASCADE
);
CREATE INDEX ix_block_document__block_schema_id ON block_document (block_schema_id);
CREATE UNIQUE INDEX uq_block_document__block_type_id_name ON block_document (block_type_id, name);
CREATE TABLE block_document_reference (
    parent_document_id BLOB NOT NULL,
    name TEXT NOT NULL,
    reference_document_id BLOB NOT NULL,
    CONSTRAINT pk_block_document_reference PRIMARY KEY (parent_document_id, name),
    CONSTRAINT fk_block_document_reference__parent_document_id__block_document FOREIGN KEY(parent_document_id) REFERENCES block_document (id) ON DELETE CASCADE,
    CONSTRAINT fk_block_document_reference__reference_document_id__block_document FOREIGN KEY(reference_document_id) REFERENCES block_document (id) ON DELETE CASCADE
);
CREATE INDEX ix_block_document_reference__reference_document_id ON block_document_reference (reference_document_id);
CREATE TABLE block_schema (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    checksum TEXT NOT NULL,
    fields TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    version TEXT NOT NULL,
    block_type_id BLOB NOT NULL,
    CONSTRAINT pk_block_schema PRIMARY KEY (id),
    CONSTRAINT fk_block_schema__block_type_id__block_type FOREIGN KEY(block_type_id) REFERENCES block_type (id) ON DELETE CASCADE
);
CREATE INDEX ix_block_schema__block_type_id ON block_schema (block_type_id);
CREATE UNIQUE INDEX uq_block_schema__checksum_version ON block_schema (checksum, version);
CREATE TABLE block_type (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    logo_url TEXT,
    documentation_url TEXT,
    description TEXT,
    code_example TEXT,
    is_protected BOOLEAN NOT NULL,
    CONSTRAINT pk_block_type PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_block_type__slug ON block_type (slug);
CREATE TABLE concurrency_lease (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    holder_type TEXT,
    holder_id BLOB,
    CONSTRAINT pk_concurrency_lease PRIMARY KEY (id)
);
CREATE INDEX ix_concurrency_lease__expires ON concurrency_lease (expires) WHERE expires IS NOT NULL;
CREATE INDEX ix_concurrency_lease__holder_id ON concurrency_lease (holder_id) WHERE holder_id IS NOT NULL;
CREATE TABLE concurrency_limit (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    "limit" INTEGER NOT NULL,
    denied_slots INTEGER NOT NULL,
    slot_decay_per_second FLOAT NOT NULL,
    avg_slot_occupancy_seconds FLOAT NOT NULL,
    drained_at BIGINT,
    CONSTRAINT pk_concurrency_limit PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_concurrency_limit__name ON concurrency_limit (name);
CREATE TABLE concurrency_slot (
    limit_id BLOB NOT NULL,
    lease_id BLOB NOT NULL,
    slots INTEGER NOT NULL,
    CONSTRAINT pk_concurrency_slot PRIMARY KEY (limit_id, lease_id),
    CONSTRAINT fk_concurrency_slot__limit_id__concurrency_limit FOREIGN KEY(limit_id) REFERENCES concurrency_limit (id) ON DELETE CASCADE,
    CONSTRAINT fk_concurrency_slot__lease_id__concurrency_lease FOREIGN KEY(lease_id) REFERENCES concurrency_lease (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE INDEX ix_concurrency_slot__lease_id ON concurrency_slot (lease_id);
CREATE TABLE configuration (
    "key" TEXT NOT NULL,
    value TEXT,
    updated BIGINT NOT NULL,
    CONSTRAINT pk_configuration PRIMARY KEY ("key")
);
CREATE TABLE csrf_token (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    client TEXT NOT NULL,
    token TEXT NOT NULL,
    expiration BIGINT NOT NULL,
    CONSTRAINT pk_csrf_token PRIMARY KEY (id)
);
CREATE INDEX ix_csrf_token__expiration ON csrf_token (expiration);
CREATE UNIQUE INDEX uq_csrf_token__client ON csrf_token (client);
CREATE TABLE deployment (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    flow_id BLOB NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    description TEXT,
    paused BOOLEAN NOT NULL,
    concurrency_limit_id BLOB,
    concurrency_options TEXT,
    job_variables TEXT,
    parameters TEXT,
    tags TEXT,
    labels TEXT,
    work_queue_id BLOB,
    last_polled BIGINT,
    parameter_openapi_schema TEXT,
    path TEXT,
    pull_steps TEXT,
    entrypoint TEXT,
    storage_document_id BLOB,
    infrastructure_document_id BLOB,
    created_by TEXT,
    updated_by TEXT,
    status TEXT NOT NULL,
    enforce_parameter_schema BOOLEAN NOT NULL,
    CONSTRAINT pk_deployment PRIMARY KEY (id),
    CONSTRAINT fk_deployment__flow_id__flow FOREIGN KEY(flow_id) REFERENCES flow (id) ON DELETE CASCADE,
    CONSTRAINT fk_deployment__concurrency_limit_id__concurrency_limit FOREIGN KEY(concurrency_limit_id) REFERENCES concurrency_limit (id) ON DELETE SET NULL,
    CONSTRAINT fk_deployment__work_queue_id__work_queue FOREIGN KEY(work_queue_id) REFERENCES work_queue (id) ON DELETE SET NULL
);
CREATE INDEX ix_deployment__concurrency_limit_id ON deployment (concurrency_limit_id);
CREATE INDEX ix_deployment__status_last_polled ON deployment (status, last_polled);
CREATE INDEX ix_deployment__work_queue_id ON deployment (work_queue_id);
CREATE UNIQUE INDEX uq_deployment__flow_id_name ON deployment (flow_id, name);
CREATE TABLE deployment_schedule (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    deployment_id BLOB NOT NULL,
    schedule TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    max_scheduled_runs INTEGER,
    parameters TEXT,
    slug TEXT,
    due BIGINT,
    CONSTRAINT pk_deployment_schedule PRIMARY KEY (id),
    CONSTRAINT fk_deployment_schedule__deployment_id__deployment FOREIGN KEY(deployment_id) REFERENCES deployment (id) ON DELETE CASCADE
);
CREATE INDEX ix_deployment_schedule__active_due ON deployment_schedule (active, due);
CREATE UNIQUE INDEX uq_deployment_schedule__deployment_id_slug ON deployment_schedule (deployment_id, slug);
CREATE TABLE event_resources (
    event_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    resource_id TEXT NOT NULL,
    role TEXT NOT NULL,
    labels TEXT NOT NULL,
    CONSTRAINT pk_event_resources PRIMARY KEY (event_id, position)
)
 WITHOUT ROWID;
CREATE INDEX ix_event_resources__resource_id ON event_resources (resource_id);
CREATE TABLE events (
    id BLOB NOT NULL,
    occurred BIGINT NOT NULL,
    received BIGINT NOT NULL,
    event TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    payload TEXT NOT NULL,
    follows BLOB,
    CONSTRAINT pk_events PRIMARY KEY (id)
);
CREATE INDEX ix_events__event_occurred ON events (event, occurred);
CREATE INDEX ix_events__occurred ON events (occurred);
CREATE INDEX ix_events__resource_id_occurred ON events (resource_id, occurred);
CREATE TABLE flow (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    tags TEXT,
    labels TEXT,
    CONSTRAINT pk_flow PRIMARY KEY (id),
    CONSTRAINT uq_flow__name UNIQUE (name)
)
 WITHOUT ROWID;
CREATE TABLE flow_run (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    flow_id BLOB NOT NULL,
    name TEXT NOT NULL,
    state_id BLOB,
    state_type TEXT,
    state_name TEXT,
    state_timestamp BIGINT,
    run_count INTEGER DEFAULT '0' NOT NULL,
    expected_start_time BIGINT,
    next_scheduled_start_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,
    total_run_time BIGINT DEFAULT '0' NOT NULL,
    parameters TEXT,
    context TEXT,
    tags TEXT,
    labels TEXT,
    empirical_policy TEXT,
    parent_task_run_id BLOB,
    owner_id BLOB,
    flow_version TEXT,
    idempotency_key TEXT,
    deployment_id BLOB,
    deployment_version TEXT,
    work_queue_id BLOB,
    work_queue_name TEXT,
    work_pool_id BLOB,
    work_pool_name TEXT,
    auto_scheduled BOOLEAN DEFAULT '0' NOT NULL,
    infrastructure_document_id BLOB,
    infrastructure_pid TEXT,
    job_variables TEXT,
    created_by TEXT,
    CONSTRAINT pk_flow_run PRIMARY KEY (id),
    CONSTRAINT fk_flow_run__flow_id__flow FOREIGN KEY(flow_id) REFERENCES flow (id)
)
 WITHOUT ROWID;
CREATE INDEX ix_flow_run__deployment_id ON flow_run (deployment_id) WHERE deployment_id IS NOT NULL;
CREATE INDEX ix_flow_run__due ON flow_run (next_scheduled_start_time) WHERE state_name = 'Scheduled';
CREATE INDEX ix_flow_run__expected_start_time ON flow_run (expected_start_time);
CREATE INDEX ix_flow_run__flow_id_expected_start_time ON flow_run (flow_id, expected_start_time);
CREATE INDEX ix_flow_run__name ON flow_run (name);
CREATE INDEX ix_flow_run__owner_id ON flow_run (owner_id) WHERE end_time IS NULL;
CREATE INDEX ix_flow_run__parent_task_run_id ON flow_run (parent_task_run_id) WHERE parent_task_run_id IS NOT NULL;
CREATE INDEX ix_flow_run__start ON flow_run (coalesce(start_time, expected_start_time));
CREATE INDEX ix_flow_run__state_type_next_scheduled_start_time ON flow_run (state_type, next_scheduled_start_time);
CREATE INDEX ix_flow_run__work_queue_id_state_type ON flow_run (work_queue_id, state_type, next_scheduled_start_time) WHERE work_queue_id IS NOT NULL;
CREATE UNIQUE INDEX uq_flow_run__flow_id_idempotency_key ON flow_run (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE flow_run_input (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    flow_run_id BLOB NOT NULL,
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    sender TEXT,
    CONSTRAINT pk_flow_run_input PRIMARY KEY (id),
    CONSTRAINT fk_flow_run_input__flow_run_id__flow_run FOREIGN KEY(flow_run_id) REFERENCES flow_run (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_flow_run_input__flow_run_id_key ON flow_run_input (flow_run_id, "key");
CREATE TABLE flow_run_state (
    id BLOB NOT NULL,
    flow_run_id BLOB NOT NULL,
    timestamp BIGINT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    message TEXT,
    data TEXT,
    details TEXT,
    CONSTRAINT pk_flow_run_state PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX ix_flow_run_state__flow_run_id ON flow_run_state (flow_run_id, timestamp);
CREATE TABLE log (
    id BLOB NOT NULL,
    timestamp BIGINT NOT NULL,
    level INTEGER NOT NULL,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    flow_run_id BLOB,
    task_run_id BLOB,
    CONSTRAINT pk_log PRIMARY KEY (id)
);
CREATE INDEX ix_log__flow_run_id ON log (flow_run_id, timestamp);
CREATE INDEX ix_log__task_run_id ON log (task_run_id, timestamp) WHERE task_run_id IS NOT NULL;
CREATE INDEX ix_log__timestamp ON log (timestamp);
CREATE TABLE saved_search (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    filters TEXT NOT NULL,
    CONSTRAINT pk_saved_search PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_saved_search__name ON saved_search (name);
CREATE TABLE sign_of_life (
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    since BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    pace BIGINT,
    CONSTRAINT pk_sign_of_life PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX ix_sign_of_life__kind_seen ON sign_of_life (kind, seen);
CREATE TABLE task_queue (
    task_run_id BLOB NOT NULL,
    task_key TEXT NOT NULL,
    scheduled BIGINT NOT NULL,
    available BIGINT NOT NULL,
    claim_id BLOB,
    held INTEGER NOT NULL,
    CONSTRAINT pk_task_queue PRIMARY KEY (task_run_id)
)
 WITHOUT ROWID;
CREATE INDEX ix_task_queue__claim_id ON task_queue (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX ix_task_queue__task_key_available ON task_queue (task_key, available);
CREATE TABLE task_run (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    flow_run_id BLOB,
    name TEXT NOT NULL,
    task_key TEXT NOT NULL,
    dynamic_key TEXT NOT NULL,
    state_id BLOB,
    state_type TEXT,
    state_name TEXT,
    state_timestamp BIGINT,
    run_count INTEGER DEFAULT '0' NOT NULL,
    flow_run_run_count INTEGER DEFAULT '0' NOT NULL,
    expected_start_time BIGINT,
    next_scheduled_start_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,
    total_run_time BIGINT DEFAULT '0' NOT NULL,
    tags TEXT,
    labels TEXT,
    task_inputs TEXT,
    empirical_policy TEXT,
    cache_key TEXT,
    cache_expiration BIGINT,
    task_version TEXT,
    CONSTRAINT pk_task_run PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX ix_task_run__expected_start_time ON task_run (expected_start_time);
CREATE INDEX ix_task_run__flow_run_id ON task_run (flow_run_id, task_key, dynamic_key);
CREATE INDEX ix_task_run__unfinished ON task_run (flow_run_id) WHERE end_time IS NULL;
CREATE TABLE task_run_cache (
    cache_key TEXT NOT NULL,
    task_run_id BLOB NOT NULL,
    state_id BLOB NOT NULL,
    expiration BIGINT,
    CONSTRAINT pk_task_run_cache PRIMARY KEY (cache_key)
)
 WITHOUT ROWID;
CREATE TABLE task_run_state (
    task_run_id BLOB NOT NULL,
    id BLOB NOT NULL,
    timestamp BIGINT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    message TEXT,
    data TEXT,
    details TEXT,
    CONSTRAINT pk_task_run_state PRIMARY KEY (task_run_id, id)
)
 WITHOUT ROWID;
CREATE TABLE task_worker (
    id BLOB NOT NULL,
    client_id TEXT NOT NULL,
    task_keys TEXT NOT NULL,
    seen BIGINT NOT NULL,
    CONSTRAINT pk_task_worker PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE TABLE variable (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    tags TEXT NOT NULL,
    CONSTRAINT pk_variable PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_variable__name ON variable (name);
CREATE TABLE work_pool (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    type TEXT NOT NULL,
    base_job_template TEXT NOT NULL,
    is_paused BOOLEAN NOT NULL,
    concurrency_limit INTEGER,
    status TEXT NOT NULL,
    status_event_id BLOB,
    status_event_occurred BIGINT,
    default_queue_id BLOB,
    storage_configuration TEXT NOT NULL,
    CONSTRAINT pk_work_pool PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_work_pool__name ON work_pool (name);
CREATE TABLE work_queue (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    work_pool_id BLOB NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    is_paused BOOLEAN NOT NULL,
    concurrency_limit INTEGER,
    priority INTEGER NOT NULL,
    filter TEXT,
    last_polled BIGINT,
    status TEXT NOT NULL,
    status_event_id BLOB,
    status_event_occurred BIGINT,
    CONSTRAINT pk_work_queue PRIMARY KEY (id),
    CONSTRAINT fk_work_queue__work_pool_id__work_pool FOREIGN KEY(work_pool_id) REFERENCES work_pool (id) ON DELETE CASCADE
);
CREATE INDEX ix_work_queue__status_last_polled ON work_queue (status, last_polled);
CREATE UNIQUE INDEX uq_work_queue__work_pool_id_name ON work_queue (work_pool_id, name);
CREATE TABLE worker (
    id BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    work_pool_id BLOB NOT NULL,
    name TEXT NOT NULL,
    last_heartbeat_time BIGINT NOT NULL,
    heartbeat_interval_seconds INTEGER,
    status TEXT NOT NULL,
    CONSTRAINT pk_worker PRIMARY KEY (id),
    CONSTRAINT fk_worker__work_pool_id__work_pool FOREIGN KEY(work_pool_id) REFERENCES work_pool (id) ON DELETE CASCADE
);
CREATE INDEX ix_worker__status_last_heartbeat_time ON worker (status, last_heartbeat_time);
CREATE UNIQUE INDEX uq_worker__work_pool_id_name ON worker (work_pool_id, name);
