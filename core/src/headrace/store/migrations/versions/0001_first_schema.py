"""The first schema. Printed from the tables by tests/store/test_schema.py."""

# fmt: off

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headrace.store import types

revision = "0001"
down_revision = None


def _artifact() -> None:
    op.create_table('artifact',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('key', sa.Text(), nullable=True),
    sa.Column('type', sa.Text(), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('data', types.Json(), nullable=True),
    sa.Column('metadata_', types.Json(), nullable=True),
    sa.Column('flow_run_id', types.Id(), nullable=True),
    sa.Column('task_run_id', types.Id(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_artifact'))
    )
    op.create_index('ix_artifact__flow_run_id', 'artifact', ['flow_run_id'], unique=False, sqlite_where=sa.text('flow_run_id IS NOT NULL'), postgresql_where=sa.text('flow_run_id IS NOT NULL'))
    op.create_index('ix_artifact__key_id', 'artifact', ['key', 'id'], unique=False, sqlite_where=sa.text('"key" IS NOT NULL'), postgresql_where=sa.text('"key" IS NOT NULL'))
    op.create_index('ix_artifact__task_run_id', 'artifact', ['task_run_id'], unique=False, sqlite_where=sa.text('task_run_id IS NOT NULL'), postgresql_where=sa.text('task_run_id IS NOT NULL'))


def _automation() -> None:
    op.create_table('automation',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('tags', types.Json(), nullable=True),
    sa.Column('body', types.Json(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_automation'))
    )
    op.create_index('ix_automation__name', 'automation', ['name'], unique=False)


def _block_type() -> None:
    op.create_table('block_type',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('logo_url', sa.Text(), nullable=True),
    sa.Column('documentation_url', sa.Text(), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('code_example', sa.Text(), nullable=True),
    sa.Column('is_protected', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_block_type'))
    )
    op.create_index('uq_block_type__slug', 'block_type', ['slug'], unique=True)


def _concurrency_lease() -> None:
    op.create_table('concurrency_lease',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('expires', types.Timestamp(), nullable=True),
    sa.Column('holder_type', sa.Text(), nullable=True),
    sa.Column('holder_id', types.Id(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_concurrency_lease'))
    )
    op.create_index('ix_concurrency_lease__expires', 'concurrency_lease', ['expires'], unique=False, sqlite_where=sa.text('expires IS NOT NULL'), postgresql_where=sa.text('expires IS NOT NULL'))
    op.create_index('ix_concurrency_lease__holder_id', 'concurrency_lease', ['holder_id'], unique=False, sqlite_where=sa.text('holder_id IS NOT NULL'), postgresql_where=sa.text('holder_id IS NOT NULL'))


def _concurrency_limit() -> None:
    op.create_table('concurrency_limit',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('limit', sa.Integer(), nullable=False),
    sa.Column('denied_slots', sa.Integer(), nullable=False),
    sa.Column('slot_decay_per_second', sa.Float(), nullable=False),
    sa.Column('avg_slot_occupancy_seconds', sa.Float(), nullable=False),
    sa.Column('drained_at', types.Timestamp(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_concurrency_limit'))
    )
    op.create_index('uq_concurrency_limit__name', 'concurrency_limit', ['name'], unique=True)


def _configuration() -> None:
    op.create_table('configuration',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('value', types.Json(), nullable=True),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_configuration'))
    )


def _csrf_token() -> None:
    op.create_table('csrf_token',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('client', sa.Text(), nullable=False),
    sa.Column('token', sa.Text(), nullable=False),
    sa.Column('expiration', types.Timestamp(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_csrf_token'))
    )
    op.create_index('ix_csrf_token__expiration', 'csrf_token', ['expiration'], unique=False)
    op.create_index('uq_csrf_token__client', 'csrf_token', ['client'], unique=True)


def _event_resources() -> None:
    op.create_table('event_resources',
    sa.Column('event_id', types.Id(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('resource_id', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('labels', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('event_id', 'position', name=op.f('pk_event_resources')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_event_resources__resource_id', 'event_resources', ['resource_id'], unique=False)


def _events() -> None:
    op.create_table('events',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('occurred', types.Timestamp(), nullable=False),
    sa.Column('received', types.Timestamp(), nullable=False),
    sa.Column('event', sa.Text(), nullable=False),
    sa.Column('resource_id', sa.Text(), nullable=False),
    sa.Column('resource', sa.Text(), nullable=False),
    sa.Column('payload', sa.Text(), nullable=False),
    sa.Column('follows', types.Id(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_events'))
    )
    op.create_index('ix_events__event_occurred', 'events', ['event', 'occurred'], unique=False)
    op.create_index('ix_events__occurred', 'events', ['occurred'], unique=False)
    op.create_index('ix_events__resource_id_occurred', 'events', ['resource_id', 'occurred'], unique=False)


def _flow() -> None:
    op.create_table('flow',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('tags', types.Json(), nullable=True),
    sa.Column('labels', types.Json(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_flow')),
    sa.UniqueConstraint('name', name=op.f('uq_flow__name')),
    sqlite_with_rowid=False
    )


def _flow_run_state() -> None:
    op.create_table('flow_run_state',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('flow_run_id', types.Id(), nullable=False),
    sa.Column('timestamp', types.Timestamp(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('data', types.Json(), nullable=True),
    sa.Column('details', types.Json(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_flow_run_state')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_flow_run_state__flow_run_id', 'flow_run_state', ['flow_run_id', 'timestamp'], unique=False)


def _log() -> None:
    op.create_table('log',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('timestamp', types.Timestamp(), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('flow_run_id', types.Id(), nullable=True),
    sa.Column('task_run_id', types.Id(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_log'))
    )
    op.create_index('ix_log__flow_run_id', 'log', ['flow_run_id', 'timestamp'], unique=False)
    op.create_index('ix_log__task_run_id', 'log', ['task_run_id', 'timestamp'], unique=False, sqlite_where=sa.text('task_run_id IS NOT NULL'), postgresql_where=sa.text('task_run_id IS NOT NULL'))
    op.create_index('ix_log__timestamp', 'log', ['timestamp'], unique=False)


def _saved_search() -> None:
    op.create_table('saved_search',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('filters', types.Json(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_saved_search'))
    )
    op.create_index('uq_saved_search__name', 'saved_search', ['name'], unique=True)


def _sign_of_life() -> None:
    op.create_table('sign_of_life',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('since', types.Timestamp(), nullable=False),
    sa.Column('seen', types.Timestamp(), nullable=False),
    sa.Column('pace', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sign_of_life')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_sign_of_life__kind_seen', 'sign_of_life', ['kind', 'seen'], unique=False)


def _task_queue() -> None:
    op.create_table('task_queue',
    sa.Column('task_run_id', types.Id(), nullable=False),
    sa.Column('task_key', sa.Text(), nullable=False),
    sa.Column('scheduled', types.Timestamp(), nullable=False),
    sa.Column('available', types.Timestamp(), nullable=False),
    sa.Column('claim_id', types.Id(), nullable=True),
    sa.Column('held', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('task_run_id', name=op.f('pk_task_queue')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_task_queue__claim_id', 'task_queue', ['claim_id'], unique=False, sqlite_where=sa.text('claim_id IS NOT NULL'), postgresql_where=sa.text('claim_id IS NOT NULL'))
    op.create_index('ix_task_queue__task_key_available', 'task_queue', ['task_key', 'available'], unique=False)


def _task_run() -> None:
    op.create_table('task_run',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('flow_run_id', types.Id(), nullable=True),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('task_key', sa.Text(), nullable=False),
    sa.Column('dynamic_key', sa.Text(), nullable=False),
    sa.Column('state_id', types.Id(), nullable=True),
    sa.Column('state_type', sa.Text(), nullable=True),
    sa.Column('state_name', sa.Text(), nullable=True),
    sa.Column('state_timestamp', types.Timestamp(), nullable=True),
    sa.Column('run_count', sa.Integer(), server_default='0', nullable=False),
    sa.Column('flow_run_run_count', sa.Integer(), server_default='0', nullable=False),
    sa.Column('expected_start_time', types.Timestamp(), nullable=True),
    sa.Column('next_scheduled_start_time', types.Timestamp(), nullable=True),
    sa.Column('start_time', types.Timestamp(), nullable=True),
    sa.Column('end_time', types.Timestamp(), nullable=True),
    sa.Column('total_run_time', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('tags', types.Json(), nullable=True),
    sa.Column('labels', types.Json(), nullable=True),
    sa.Column('task_inputs', types.Json(), nullable=True),
    sa.Column('empirical_policy', types.Json(), nullable=True),
    sa.Column('cache_key', sa.Text(), nullable=True),
    sa.Column('cache_expiration', types.Timestamp(), nullable=True),
    sa.Column('task_version', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_task_run')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_task_run__expected_start_time', 'task_run', ['expected_start_time'], unique=False)
    op.create_index('ix_task_run__flow_run_id', 'task_run', ['flow_run_id', 'task_key', 'dynamic_key'], unique=False)
    op.create_index('ix_task_run__unfinished', 'task_run', ['flow_run_id'], unique=False, sqlite_where=sa.text('end_time IS NULL'), postgresql_where=sa.text('end_time IS NULL'))


def _task_run_cache() -> None:
    op.create_table('task_run_cache',
    sa.Column('cache_key', sa.Text(), nullable=False),
    sa.Column('task_run_id', types.Id(), nullable=False),
    sa.Column('state_id', types.Id(), nullable=False),
    sa.Column('expiration', types.Timestamp(), nullable=True),
    sa.PrimaryKeyConstraint('cache_key', name=op.f('pk_task_run_cache')),
    sqlite_with_rowid=False
    )


def _task_run_state() -> None:
    op.create_table('task_run_state',
    sa.Column('task_run_id', types.Id(), nullable=False),
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('timestamp', types.Timestamp(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('data', types.Json(), nullable=True),
    sa.Column('details', types.Json(), nullable=True),
    sa.PrimaryKeyConstraint('task_run_id', 'id', name=op.f('pk_task_run_state')),
    sqlite_with_rowid=False
    )


def _task_worker() -> None:
    op.create_table('task_worker',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('client_id', sa.Text(), nullable=False),
    sa.Column('task_keys', types.Json(), nullable=False),
    sa.Column('seen', types.Timestamp(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_task_worker')),
    sqlite_with_rowid=False
    )


def _variable() -> None:
    op.create_table('variable',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('value', types.Json(), nullable=True),
    sa.Column('tags', types.Json(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_variable'))
    )
    op.create_index('uq_variable__name', 'variable', ['name'], unique=True)


def _work_pool() -> None:
    op.create_table('work_pool',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('base_job_template', types.Json(), nullable=False),
    sa.Column('is_paused', sa.Boolean(), nullable=False),
    sa.Column('concurrency_limit', sa.Integer(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('status_event_id', types.Id(), nullable=True),
    sa.Column('status_event_occurred', types.Timestamp(), nullable=True),
    sa.Column('default_queue_id', types.Id(), nullable=True),
    sa.Column('storage_configuration', types.Json(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_work_pool'))
    )
    op.create_index('uq_work_pool__name', 'work_pool', ['name'], unique=True)


def _automation_related_resource() -> None:
    op.create_table('automation_related_resource',
    sa.Column('automation_id', types.Id(), nullable=False),
    sa.Column('resource_id', sa.Text(), nullable=False),
    sa.Column('is_owner', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['automation_id'], ['automation.id'], name=op.f('fk_automation_related_resource__automation_id__automation'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('automation_id', 'resource_id', name=op.f('pk_automation_related_resource'))
    )
    op.create_index('ix_automation_related_resource__resource_id', 'automation_related_resource', ['resource_id'], unique=False)


def _block_schema() -> None:
    op.create_table('block_schema',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('checksum', sa.Text(), nullable=False),
    sa.Column('fields', types.Json(), nullable=False),
    sa.Column('capabilities', types.Json(), nullable=False),
    sa.Column('version', sa.Text(), nullable=False),
    sa.Column('block_type_id', types.Id(), nullable=False),
    sa.ForeignKeyConstraint(['block_type_id'], ['block_type.id'], name=op.f('fk_block_schema__block_type_id__block_type'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_block_schema'))
    )
    op.create_index('ix_block_schema__block_type_id', 'block_schema', ['block_type_id'], unique=False)
    op.create_index('uq_block_schema__checksum_version', 'block_schema', ['checksum', 'version'], unique=True)


def _concurrency_slot() -> None:
    op.create_table('concurrency_slot',
    sa.Column('limit_id', types.Id(), nullable=False),
    sa.Column('lease_id', types.Id(), nullable=False),
    sa.Column('slots', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['lease_id'], ['concurrency_lease.id'], name=op.f('fk_concurrency_slot__lease_id__concurrency_lease'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['limit_id'], ['concurrency_limit.id'], name=op.f('fk_concurrency_slot__limit_id__concurrency_limit'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('limit_id', 'lease_id', name=op.f('pk_concurrency_slot')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_concurrency_slot__lease_id', 'concurrency_slot', ['lease_id'], unique=False)


def _flow_run() -> None:
    op.create_table('flow_run',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('flow_id', types.Id(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('state_id', types.Id(), nullable=True),
    sa.Column('state_type', sa.Text(), nullable=True),
    sa.Column('state_name', sa.Text(), nullable=True),
    sa.Column('state_timestamp', types.Timestamp(), nullable=True),
    sa.Column('run_count', sa.Integer(), server_default='0', nullable=False),
    sa.Column('expected_start_time', types.Timestamp(), nullable=True),
    sa.Column('next_scheduled_start_time', types.Timestamp(), nullable=True),
    sa.Column('start_time', types.Timestamp(), nullable=True),
    sa.Column('end_time', types.Timestamp(), nullable=True),
    sa.Column('total_run_time', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('parameters', types.Json(), nullable=True),
    sa.Column('context', types.Json(), nullable=True),
    sa.Column('tags', types.Json(), nullable=True),
    sa.Column('labels', types.Json(), nullable=True),
    sa.Column('empirical_policy', types.Json(), nullable=True),
    sa.Column('parent_task_run_id', types.Id(), nullable=True),
    sa.Column('owner_id', types.Id(), nullable=True),
    sa.Column('flow_version', sa.Text(), nullable=True),
    sa.Column('idempotency_key', sa.Text(), nullable=True),
    sa.Column('deployment_id', types.Id(), nullable=True),
    sa.Column('deployment_version', sa.Text(), nullable=True),
    sa.Column('work_queue_id', types.Id(), nullable=True),
    sa.Column('work_queue_name', sa.Text(), nullable=True),
    sa.Column('work_pool_id', types.Id(), nullable=True),
    sa.Column('work_pool_name', sa.Text(), nullable=True),
    sa.Column('auto_scheduled', sa.Boolean(), server_default='0', nullable=False),
    sa.Column('infrastructure_document_id', types.Id(), nullable=True),
    sa.Column('infrastructure_pid', sa.Text(), nullable=True),
    sa.Column('job_variables', types.Json(), nullable=True),
    sa.Column('created_by', types.Json(), nullable=True),
    sa.ForeignKeyConstraint(['flow_id'], ['flow.id'], name=op.f('fk_flow_run__flow_id__flow')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_flow_run')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_flow_run__deployment_id', 'flow_run', ['deployment_id'], unique=False, sqlite_where=sa.text('deployment_id IS NOT NULL'), postgresql_where=sa.text('deployment_id IS NOT NULL'))
    op.create_index('ix_flow_run__due', 'flow_run', ['next_scheduled_start_time'], unique=False, sqlite_where=sa.text("state_name = 'Scheduled'"), postgresql_where=sa.text("state_name = 'Scheduled'"))
    op.create_index('ix_flow_run__expected_start_time', 'flow_run', ['expected_start_time'], unique=False)
    op.create_index('ix_flow_run__flow_id_expected_start_time', 'flow_run', ['flow_id', 'expected_start_time'], unique=False)
    op.create_index('ix_flow_run__name', 'flow_run', ['name'], unique=False)
    op.create_index('ix_flow_run__owner_id', 'flow_run', ['owner_id'], unique=False, sqlite_where=sa.text('end_time IS NULL'), postgresql_where=sa.text('end_time IS NULL'))
    op.create_index('ix_flow_run__parent_task_run_id', 'flow_run', ['parent_task_run_id'], unique=False, sqlite_where=sa.text('parent_task_run_id IS NOT NULL'), postgresql_where=sa.text('parent_task_run_id IS NOT NULL'))
    op.create_index('ix_flow_run__start', 'flow_run', [sa.literal_column('coalesce(start_time, expected_start_time)')], unique=False)
    op.create_index('ix_flow_run__state_type_next_scheduled_start_time', 'flow_run', ['state_type', 'next_scheduled_start_time'], unique=False)
    op.create_index('ix_flow_run__work_queue_id_state_type', 'flow_run', ['work_queue_id', 'state_type', 'next_scheduled_start_time'], unique=False, sqlite_where=sa.text('work_queue_id IS NOT NULL'), postgresql_where=sa.text('work_queue_id IS NOT NULL'))
    op.create_index('uq_flow_run__flow_id_idempotency_key', 'flow_run', ['flow_id', 'idempotency_key'], unique=True, sqlite_where=sa.text('idempotency_key IS NOT NULL'), postgresql_where=sa.text('idempotency_key IS NOT NULL'))


def _work_queue() -> None:
    op.create_table('work_queue',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('work_pool_id', types.Id(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('is_paused', sa.Boolean(), nullable=False),
    sa.Column('concurrency_limit', sa.Integer(), nullable=True),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('filter', types.Json(), nullable=True),
    sa.Column('last_polled', types.Timestamp(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('status_event_id', types.Id(), nullable=True),
    sa.Column('status_event_occurred', types.Timestamp(), nullable=True),
    sa.ForeignKeyConstraint(['work_pool_id'], ['work_pool.id'], name=op.f('fk_work_queue__work_pool_id__work_pool'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_work_queue'))
    )
    op.create_index('ix_work_queue__status_last_polled', 'work_queue', ['status', 'last_polled'], unique=False)
    op.create_index('uq_work_queue__work_pool_id_name', 'work_queue', ['work_pool_id', 'name'], unique=True)


def _worker() -> None:
    op.create_table('worker',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('work_pool_id', types.Id(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('last_heartbeat_time', types.Timestamp(), nullable=False),
    sa.Column('heartbeat_interval_seconds', sa.Integer(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['work_pool_id'], ['work_pool.id'], name=op.f('fk_worker__work_pool_id__work_pool'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_worker'))
    )
    op.create_index('ix_worker__status_last_heartbeat_time', 'worker', ['status', 'last_heartbeat_time'], unique=False)
    op.create_index('uq_worker__work_pool_id_name', 'worker', ['work_pool_id', 'name'], unique=True)


def _block_document() -> None:
    op.create_table('block_document',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('data', sa.Text(), nullable=False),
    sa.Column('key_id', sa.Text(), nullable=False),
    sa.Column('is_anonymous', sa.Boolean(), nullable=False),
    sa.Column('block_type_id', types.Id(), nullable=False),
    sa.Column('block_schema_id', types.Id(), nullable=False),
    sa.ForeignKeyConstraint(['block_schema_id'], ['block_schema.id'], name=op.f('fk_block_document__block_schema_id__block_schema'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['block_type_id'], ['block_type.id'], name=op.f('fk_block_document__block_type_id__block_type'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_block_document'))
    )
    op.create_index('ix_block_document__block_schema_id', 'block_document', ['block_schema_id'], unique=False)
    op.create_index('uq_block_document__block_type_id_name', 'block_document', ['block_type_id', 'name'], unique=True)


def _deployment() -> None:
    op.create_table('deployment',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('flow_id', types.Id(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('version', sa.Text(), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('concurrency_limit_id', types.Id(), nullable=True),
    sa.Column('concurrency_options', types.Json(), nullable=True),
    sa.Column('job_variables', types.Json(), nullable=True),
    sa.Column('parameters', types.Json(), nullable=True),
    sa.Column('tags', types.Json(), nullable=True),
    sa.Column('labels', types.Json(), nullable=True),
    sa.Column('work_queue_id', types.Id(), nullable=True),
    sa.Column('last_polled', types.Timestamp(), nullable=True),
    sa.Column('parameter_openapi_schema', types.Json(), nullable=True),
    sa.Column('path', sa.Text(), nullable=True),
    sa.Column('pull_steps', types.Json(), nullable=True),
    sa.Column('entrypoint', sa.Text(), nullable=True),
    sa.Column('storage_document_id', types.Id(), nullable=True),
    sa.Column('infrastructure_document_id', types.Id(), nullable=True),
    sa.Column('created_by', types.Json(), nullable=True),
    sa.Column('updated_by', types.Json(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('enforce_parameter_schema', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['concurrency_limit_id'], ['concurrency_limit.id'], name=op.f('fk_deployment__concurrency_limit_id__concurrency_limit'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['flow_id'], ['flow.id'], name=op.f('fk_deployment__flow_id__flow'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['work_queue_id'], ['work_queue.id'], name=op.f('fk_deployment__work_queue_id__work_queue'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deployment'))
    )
    op.create_index('ix_deployment__concurrency_limit_id', 'deployment', ['concurrency_limit_id'], unique=False)
    op.create_index('ix_deployment__status_last_polled', 'deployment', ['status', 'last_polled'], unique=False)
    op.create_index('ix_deployment__work_queue_id', 'deployment', ['work_queue_id'], unique=False)
    op.create_index('uq_deployment__flow_id_name', 'deployment', ['flow_id', 'name'], unique=True)


def _flow_run_input() -> None:
    op.create_table('flow_run_input',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('flow_run_id', types.Id(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('sender', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['flow_run_id'], ['flow_run.id'], name=op.f('fk_flow_run_input__flow_run_id__flow_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_flow_run_input'))
    )
    op.create_index('uq_flow_run_input__flow_run_id_key', 'flow_run_input', ['flow_run_id', 'key'], unique=True)


def _block_document_reference() -> None:
    op.create_table('block_document_reference',
    sa.Column('parent_document_id', types.Id(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('reference_document_id', types.Id(), nullable=False),
    sa.ForeignKeyConstraint(['parent_document_id'], ['block_document.id'], name=op.f('fk_block_document_reference__parent_document_id__block_document'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['reference_document_id'], ['block_document.id'], name=op.f('fk_block_document_reference__reference_document_id__block_document'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('parent_document_id', 'name', name=op.f('pk_block_document_reference'))
    )
    op.create_index('ix_block_document_reference__reference_document_id', 'block_document_reference', ['reference_document_id'], unique=False)


def _deployment_schedule() -> None:
    op.create_table('deployment_schedule',
    sa.Column('id', types.Id(), nullable=False),
    sa.Column('created', types.Timestamp(), nullable=False),
    sa.Column('updated', types.Timestamp(), nullable=False),
    sa.Column('deployment_id', types.Id(), nullable=False),
    sa.Column('schedule', types.Json(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('max_scheduled_runs', sa.Integer(), nullable=True),
    sa.Column('parameters', types.Json(), nullable=True),
    sa.Column('slug', sa.Text(), nullable=True),
    sa.Column('due', types.Timestamp(), nullable=True),
    sa.ForeignKeyConstraint(['deployment_id'], ['deployment.id'], name=op.f('fk_deployment_schedule__deployment_id__deployment'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deployment_schedule'))
    )
    op.create_index('ix_deployment_schedule__active_due', 'deployment_schedule', ['active', 'due'], unique=False)
    op.create_index('uq_deployment_schedule__deployment_id_slug', 'deployment_schedule', ['deployment_id', 'slug'], unique=True)


TABLES = {"artifact": _artifact, "automation": _automation, "block_type": _block_type, "concurrency_lease": _concurrency_lease, "concurrency_limit": _concurrency_limit, "configuration": _configuration, "csrf_token": _csrf_token, "event_resources": _event_resources, "events": _events, "flow": _flow, "flow_run_state": _flow_run_state, "log": _log, "saved_search": _saved_search, "sign_of_life": _sign_of_life, "task_queue": _task_queue, "task_run": _task_run, "task_run_cache": _task_run_cache, "task_run_state": _task_run_state, "task_worker": _task_worker, "variable": _variable, "work_pool": _work_pool, "automation_related_resource": _automation_related_resource, "block_schema": _block_schema, "concurrency_slot": _concurrency_slot, "flow_run": _flow_run, "work_queue": _work_queue, "worker": _worker, "block_document": _block_document, "deployment": _deployment, "flow_run_input": _flow_run_input, "block_document_reference": _block_document_reference, "deployment_schedule": _deployment_schedule}


def upgrade() -> None:
    """Make every table."""
    for make in TABLES.values():
        make()


def downgrade() -> None:
    """Drop every table, with its indexes."""
    for table in reversed(TABLES):
        op.drop_table(table)
