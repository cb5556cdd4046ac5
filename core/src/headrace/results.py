"""Reading and writing the results of runs."""

from headrace.data.lru_cache import LRUCache
from headrace.data.records import ResultRecord, ResultRecordMetadata
from headrace.data.result_decisions import (
    aget_default_result_storage,
    aget_or_create_default_task_scheduling_storage,
    aresolve_result_storage,
    get_default_persist_setting,
    get_default_persist_setting_for_tasks,
    get_default_result_serializer,
    get_default_result_storage,
    get_or_create_default_task_scheduling_storage,
    resolve_result_storage,
    resolve_serializer,
    should_persist_result,
)
from headrace.data.results import DEFAULT_STORAGE_KEY_FN, ResultStore, default_cache, get_result_store

__all__ = [
    "DEFAULT_STORAGE_KEY_FN",
    "LRUCache",
    "ResultRecord",
    "ResultRecordMetadata",
    "ResultStore",
    "aget_default_result_storage",
    "aget_or_create_default_task_scheduling_storage",
    "aresolve_result_storage",
    "default_cache",
    "get_default_persist_setting",
    "get_default_persist_setting_for_tasks",
    "get_default_result_serializer",
    "get_default_result_storage",
    "get_or_create_default_task_scheduling_storage",
    "get_result_store",
    "resolve_result_storage",
    "resolve_serializer",
    "should_persist_result",
]
