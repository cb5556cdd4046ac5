"""CloudFormation templates for ECS workers."""
