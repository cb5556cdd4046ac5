"""How log records are configured, formatted, shown and kept. Which run a record belongs to is the engine's business."""
