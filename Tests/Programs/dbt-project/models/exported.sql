{{ config(materialized='external', location='totals.parquet') }}
select * from {{ ref('totals') }}
