-- The source of a flow by its digest.
select source from flow_versions where digest = $1
